"""The main metric of each component for its line on the terminal, from its artifacts."""

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
    """Returns the main metric of a finished component; "" where there is none, or it cannot be read."""
    describe = _METRICS.get(name)
    if describe is None or not outputs:
        return ""
    try:
        return describe(outputs, config)
    except Exception:  # a metric that cannot be read must not end a run that succeeds
        logging.exception("No metric of %s", name)
        return ""


def blessing_problem(outputs: Mapping[str, Outputs]) -> str:
    """Returns why the Evaluator or the InfraValidator withheld its blessing; "" where both gave it."""
    if "Evaluator" in outputs and not _blessed(outputs["Evaluator"]):
        return "not blessed: " + _reasons(outputs["Evaluator"])
    if "InfraValidator" in outputs and not _blessed(outputs["InfraValidator"]):
        return "not blessed: " + outputs["InfraValidator"]["blessing"][0].get_string_custom_property("reason")
    return ""


def pushed_version(outputs: Outputs) -> tuple[str, str] | None:
    """Returns the version and its folder; None where nothing was pushed."""
    model = outputs["pushed_model"][0]
    if not model.get_int_custom_property("pushed"):
        return None
    version, folder = (model.get_string_custom_property(f"pushed_{key}") for key in ("version", "destination"))
    return version, folder


def _read_json(outputs: Outputs, key: str, file: str) -> Any:
    return json.loads(Path(outputs[key][0].uri, file).read_text(encoding="utf-8"))


def _blessed(outputs: Outputs) -> bool:
    return bool(outputs["blessing"][0].get_int_custom_property("blessed"))


def _reasons(outputs: Outputs) -> str:
    from pipeline.evaluation.results import blessing_reasons

    return "; ".join(blessing_reasons(outputs["evaluation"][0].uri))


def _ingest(outputs: Outputs, config: Config) -> str:
    from pipeline.ingest.report import FILE, summary

    return summary(_read_json(outputs, "examples", FILE))


def _statistics(outputs: Outputs, config: Config) -> str:
    from tfx.components.statistics_gen.stats_artifact_utils import load_statistics
    from tfx.types import artifact_utils

    artifact = outputs["statistics"][0]
    sizes = []
    for split in artifact_utils.decode_split_names(artifact.split_names):
        statistics = load_statistics(artifact, split).proto()
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
    if config.pipeline.drift is None and config.pipeline.skew is None:
        return ""
    from pipeline.validation.distances import read_comparisons, summary

    return summary(read_comparisons(outputs["comparisons"][0].uri))


def _vocabularies(outputs: Outputs, config: Config) -> str:
    import tensorflow_transform as tft

    graph = tft.TFTransformOutput(outputs["transform_graph"][0].uri)
    sizes = {name: graph.vocabulary_size_by_name(name) for name in ("item_id", "user_id")}
    return f"{sizes['item_id']:,} items, {sizes['user_id']:,} users"


def _training(outputs: Outputs, config: Config) -> str:
    """Returns `epoch 7 of 9 kept; eval ndcg@10 0.128 ± 0.010, rating/rmse 0.902; chosen on 197 users (81 warm, ...)`.

    The first metric is the one that the epoch was chosen by, the others are the tasks' main metrics.
    """
    result = _read_json(outputs, "model_run", "training.json")
    epochs, best, evaluation = result["epochs"], result["best_epoch"], result["evaluation"]
    parts = [f"epoch {best} of {epochs} kept" if best else f"{epochs} epochs"]
    stopping = config.training.stopping
    chosen_by = (stopping and stopping.metric) or f"ndcg@{max(config.evaluation.ks, default=0)}"
    names = dict.fromkeys([chosen_by if chosen_by in evaluation else "loss", *task_metrics(config)])
    metrics = []
    for name in names:
        if name in evaluation:
            value = "undefined" if evaluation[name] is None else f"{evaluation[name]:.3f}"
            error = result.get("errors", {}).get(name)
            metrics.append(f"{name} {value}" + ("" if error is None else f" ± {error:.3f}"))
    if metrics:
        parts.append(f"eval {', '.join(metrics)}")
    if sample := result.get("sample"):
        warm, cold = sample["warm"], sample["cold"]
        parts.append(f"chosen on {warm + cold:,} users ({warm:,} warm, {cold:,} cold)")
    return "; ".join(parts)


def _evaluation(outputs: Outputs, config: Config) -> str:
    """Returns `eval: ndcg@10 0.128 (popularity 0.045, ids alone 0.121), rating/rmse 0.902; test: ...; blessed`."""
    from pipeline.evaluation.results import headlines, metric_text

    parts = []
    main = main_metric(config)[0]
    for split, of_split in headlines(outputs["evaluation"][0].uri).items():
        found, shown = of_split.metrics, []
        if "/" not in main and not math.isnan(found.get(main, math.nan)):  # a task's metric has no baseline
            alone = found.get(of_form(IDS_ALONE, main), math.nan)
            beside = f"popularity {found.get(POPULARITY + main, math.nan):.3f}"
            beside += "" if math.isnan(alone) else f", ids alone {alone:.3f}"
            shown.append(f"{main} {found[main]:.3f} ({beside})")
        shown += [f"{name} {metric_text(found.get(name, math.nan), '.3f')}" for name in task_metrics(config)]
        parts.append(f"{split}: {', '.join(shown)}")
    return "; ".join([*parts, "blessed" if _blessed(outputs) else f"not blessed: {_reasons(outputs)}"])


def _infra(outputs: Outputs, config: Config) -> str:
    report = _read_json(outputs, "blessing", "infra_validation.json")
    if not report["blessed"]:
        return f"not blessed: {report['reason']}"
    speed = f"p50 {report['p50_milliseconds']:.1f} ms, p99 {report['p99_milliseconds']:.1f} ms"
    return f"blessed: {report['requests']} requests, {report['signatures']} signatures as the Trainer's; {speed}"


def _push(outputs: Outputs, config: Config) -> str:
    pushed = pushed_version(outputs)
    return f"version {pushed[0]} in {posixpath.dirname(pushed[1])}" if pushed else "nothing pushed: not blessed"


def _embeddings(outputs: Outputs, config: Config) -> str:
    if not outputs["embeddings"][0].get_int_custom_property("exported"):
        return "none: not pushed"
    found = _read_json(outputs, "embeddings", "embeddings.json")
    vectors = f"{found['items']:,} vectors of {found['dimension']} dimensions"
    return f"{vectors}, version {found['model_version']}, in {outputs['embeddings'][0].uri}"


def _search(outputs: Outputs, config: Config) -> str:
    trials = _read_json(outputs, "tuner_results", "tuner_results.json")
    found = ", ".join(f"{name} {value}" for name, value in trials[0].items() if name not in ("trial_id", "score"))
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
    "EmbeddingExporter": _embeddings,
}
