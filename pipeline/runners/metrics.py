"""The main metric of each component: what a person wants to know of it, from its artifacts."""

import json
import math
import posixpath
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from absl import logging

from config import Config
from trainer.metrics.names import POPULARITY, main_metric, task_metrics
from trainer.metrics.request_forms import IDS_ALONE, of_form

Outputs = Mapping[str, list[Any]]
"""A component's output artifacts by key."""


def metric(name: str, outputs: Outputs, config: Config) -> str:
    """The main metric of a finished component; empty where there is none, or it cannot be read."""
    describe = _METRICS.get(name)
    if describe is None or not outputs:
        return ""
    try:
        return describe(outputs, config)
    except Exception:  # a metric is for the eye: whatever is wrong with it must not end a run that is well
        logging.exception("No metric of %s", name)
        return ""


def blessing_problem(outputs: Mapping[str, Outputs]) -> str:
    """Why the Evaluator or the InfraValidator withheld its blessing; empty where both gave it."""
    if "Evaluator" in outputs and not _blessed(outputs["Evaluator"]):
        return "not blessed: " + _reasons(outputs["Evaluator"])
    if "InfraValidator" in outputs and not _blessed(outputs["InfraValidator"]):
        return "not blessed: " + outputs["InfraValidator"]["blessing"][0].get_string_custom_property("reason")
    return ""


def pushed_version(outputs: Outputs) -> tuple[str, str] | None:
    """The version and its folder; None where nothing was pushed."""
    model = outputs["pushed_model"][0]
    if not model.get_int_custom_property("pushed"):
        return None
    return (
        model.get_string_custom_property("pushed_version"),
        model.get_string_custom_property("pushed_destination"),
    )


def _ingest(outputs: Outputs, config: Config) -> str:
    from pipeline.ingest.report import FILE, summary

    return summary(json.loads((Path(outputs["examples"][0].uri) / FILE).read_text(encoding="utf-8")))


def _statistics(outputs: Outputs, config: Config) -> str:
    import tensorflow_data_validation as tfdv
    from tfx.types import artifact_utils

    artifact = outputs["statistics"][0]
    sizes = []
    for split in artifact_utils.decode_split_names(artifact.split_names):
        folder = artifact_utils.get_split_uri([artifact], split)
        statistics = tfdv.load_stats_binary(posixpath.join(folder, "FeatureStats.pb"))
        sizes.append(f"{split} {sum(data.num_examples for data in statistics.datasets):,}")
    return "examples: " + ", ".join(sizes)


def _schema(outputs: Outputs, config: Config) -> str:
    import tensorflow_data_validation as tfdv

    schema = tfdv.load_schema_text(posixpath.join(outputs["schema"][0].uri, "schema.pbtxt"))
    return f"{len(schema.feature)} features"


def _anomalies(outputs: Outputs, config: Config) -> str:
    blessed = outputs["anomalies"][0].get_json_value_custom_property("blessed")
    bad = [split for split, is_blessed in (blessed or {}).items() if not is_blessed]
    return f"anomalies in {', '.join(bad)}" if bad else "no anomalies"


def _distances(outputs: Outputs, config: Config) -> str:
    from pipeline.validation.distances import read_comparisons, summary

    is_compared = config.pipeline.drift is not None or config.pipeline.skew is not None
    return summary(read_comparisons(outputs["comparisons"][0].uri)) if is_compared else ""


def _vocabularies(outputs: Outputs, config: Config) -> str:
    import tensorflow_transform as tft

    graph = tft.TFTransformOutput(outputs["transform_graph"][0].uri)
    sizes = {name: graph.vocabulary_size_by_name(name) for name in ("item_id", "user_id")}
    return f"{sizes['item_id']:,} items, {sizes['user_id']:,} users"


def _training(outputs: Outputs, config: Config) -> str:
    result = json.loads((Path(outputs["model_run"][0].uri) / "training.json").read_text())
    epochs, best = result["epochs"], result["best_epoch"]
    trained = f"epoch {best} of {epochs} kept" if best else f"{epochs} epochs"
    metrics = _told(result["evaluation"], config, result.get("errors", {}))
    told = f"{trained}; eval {', '.join(metrics)}" if metrics else trained
    return f"{told}; {_sampled(result['sample'])}" if result.get("sample") else told


def _sampled(sample: Mapping[str, int]) -> str:
    """`chosen on 197 users (81 warm, 116 cold)`."""
    warm, cold = sample["warm"], sample["cold"]
    return f"chosen on {warm + cold:,} users ({warm:,} warm, {cold:,} cold)"


def _told(evaluation: Mapping[str, float | None], config: Config, errors: Mapping[str, float]) -> list[str]:
    """What the epoch was chosen by, then the metric that tells most of each task, of the weights that were kept; with
    their standard errors."""
    stopping = config.training.stopping
    metric = (stopping and stopping.metric) or f"ndcg@{max(config.evaluation.ks, default=0)}"
    names = [metric if metric in evaluation else "loss", *task_metrics(config)]
    found = {name: evaluation[name] for name in names if name in evaluation}
    known = {name: f" ± {error:.3f}" for name, error in errors.items()}
    return [f"{n} {'undefined' if v is None else format(v, '.3f')}{known.get(n, '')}" for n, v in found.items()]


def _evaluation(outputs: Outputs, config: Config) -> str:
    from pipeline.evaluation.results import headlines

    found = headlines(outputs["evaluation"][0].uri)
    verdict = "blessed" if _blessed(outputs) else f"not blessed: {_reasons(outputs)}"
    return "; ".join([*(f"{split}: {_split(of.metrics, config)}" for split, of in found.items()), verdict])


def _split(found: Mapping[str, float], config: Config) -> str:
    """`ndcg@10 0.128 (popularity 0.045, ids alone 0.121), rating/rmse 0.902`."""
    from pipeline.evaluation.results import metric_text

    tasks = [f"{name} {metric_text(found.get(name, math.nan), '.3f')}" for name in task_metrics(config)]
    return ", ".join([*_ranking(found, main_metric(config)[0]), *tasks])


def _ranking(found: Mapping[str, float], metric: str) -> list[str]:
    """`ndcg@10 0.128 (popularity 0.045, ids alone 0.121)`; nothing of a task's metric, which has no baseline."""
    if "/" in metric or math.isnan(found.get(metric, math.nan)):
        return []
    alone = found.get(of_form(IDS_ALONE, metric), math.nan)
    told = "" if math.isnan(alone) else f", ids alone {alone:.3f}"
    return [f"{metric} {found[metric]:.3f} (popularity {found.get(POPULARITY + metric, math.nan):.3f}{told})"]


def _infra(outputs: Outputs, config: Config) -> str:
    report = json.loads((Path(outputs["blessing"][0].uri) / "infra_validation.json").read_text())
    if not report["blessed"]:
        return f"not blessed: {report['reason']}"
    speed = f"p50 {report['p50_milliseconds']:.1f} ms, p99 {report['p99_milliseconds']:.1f} ms"
    return f"blessed: {report['requests']} requests, {report['signatures']} signatures as the Trainer's; {speed}"


def _push(outputs: Outputs, config: Config) -> str:
    pushed = pushed_version(outputs)
    return f"version {pushed[0]} in {posixpath.dirname(pushed[1])}" if pushed else "nothing pushed: not blessed"


def _blessed(outputs: Outputs) -> bool:
    return bool(outputs["blessing"][0].get_int_custom_property("blessed"))


def _reasons(outputs: Outputs) -> str:
    from pipeline.evaluation.results import blessing_reasons

    return "; ".join(blessing_reasons(outputs["evaluation"][0].uri))


def _search(outputs: Outputs, config: Config) -> str:
    trials = json.loads((Path(outputs["tuner_results"][0].uri) / "tuner_results.json").read_text())
    best = {name: value for name, value in trials[0].items() if name not in ("trial_id", "score")}
    found = ", ".join(f"{name} {value}" for name, value in best.items())
    return f"{len(trials)} trials; {config.tuner.objective if config.tuner else ''} {trials[0]['score']:.4f}: {found}"


_METRICS: dict[str, Callable[[Outputs, Config], str]] = {
    "InteractionExampleGen": _ingest,
    "StatisticsGen": _statistics,
    "SchemaGen": _schema,
    "ExampleValidator": _anomalies,
    "AnomalyGate": _distances,
    "Transform": _vocabularies,
    "Tuner": _search,
    "Trainer": _training,
    "Evaluator": _evaluation,
    "InfraValidator": _infra,
    "Pusher": _push,
}
