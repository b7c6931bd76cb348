"""An evaluation artifact as plain metrics: what was measured, and which gates held.

`python -m pipeline.evaluation.results examples/movielens-100k.yaml` prints the newest evaluation of a configuration.
"""

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from config import Config, load_config, paths
from trainer.metrics.names import STANDARD_ERROR

_CANDIDATE = ("", "candidate")
_GROUPS = {"0": "warm", "1": "cold"}


@dataclass(frozen=True)
class Metric:
    """A metric of the evaluated model on a slice of a split."""

    split: str
    slice: str
    """`all`, `warm` or `cold` users, narrowed by a feature: `warm, user_gender=F`."""
    metric: str
    """As gates name it: `ndcg@10`, `rating/rmse`."""
    value: float


@dataclass(frozen=True)
class Verdict:
    """A bound that the gates set, and the value that was found."""

    metric: str
    split: str
    users: str
    wanted: str
    found: float | None
    """None: nothing was measured."""
    passed: bool

    def __str__(self) -> str:
        found = "nothing was measured" if self.found is None else f"found {metric_text(self.found, '.4g')}"
        return f"{self.metric} on {self.split} ({self.users} users): wanted {self.wanted}, {found}"


def metric_text(value: float, form: str) -> str:
    """Returns a metric in a format, such as `.4f`; `undefined` for NaN, as the AUC of labels that are all equal."""
    return "undefined" if math.isnan(value) else format(value, form)


def read_metrics(uri: str) -> list[Metric]:
    """Reads all metrics of an evaluation.

    Args:
      uri: The artifact's folder.

    Returns:
      The metrics of the evaluated model (not those of the model it was compared with), NaN where undefined.
    """
    import tensorflow_model_analysis as tfma

    return [metric for record in tfma.load_metrics(uri) for metric in _metrics(record)]


@dataclass(frozen=True)
class Headline:
    """The metrics that represent a split."""

    group: str
    """`warm`: the users with training events; `all` where no user is warm."""
    metrics: dict[str, float]
    """By metric."""


def headlines(uri: str) -> dict[str, Headline]:
    """Reads the headline of each split that was evaluated, `eval` before `test`."""
    groups: dict[str, dict[str, dict[str, float]]] = {}
    for metric in read_metrics(uri):
        groups.setdefault(metric.split, {}).setdefault(metric.slice, {})[metric.metric] = metric.value
    return {
        split: Headline("warm", found["warm"]) if "warm" in found else Headline("all", found.get("all", {}))
        for split, found in sorted(groups.items())
        if split
    }


def headline(uri: str, split: str) -> dict[str, float]:
    """Reads the metrics of the warm users of a split, by metric; of all users where no user is warm."""
    found = headlines(uri).get(split)
    return found.metrics if found else {}


def read_verdicts(uri: str) -> list[Verdict]:
    """Reads every bound of the gates, with the value that was found."""
    import tensorflow_model_analysis as tfma
    from tensorflow_model_analysis.metrics import metric_specs
    from tensorflow_model_analysis.writers import eval_config_writer

    eval_config = eval_config_writer.load_eval_run(uri)[0]
    found = {(_features(r.slice_key), key): value for r in tfma.load_metrics(uri) for key, value in _values(r)}
    thresholds = metric_specs.metric_thresholds_from_metrics_specs(eval_config.metrics_specs, eval_config=eval_config)
    return [
        _verdict(key, dict(spec.feature_values), threshold, found)
        for key, limits in thresholds.items()
        if key.model_name in _CANDIDATE
        for spec, threshold in limits
    ]


def blessing_reasons(uri: str) -> list[str]:
    """Returns the gates that failed, with found and wanted values; empty where the model was blessed."""
    import tensorflow_model_analysis as tfma

    if tfma.load_validation_result(uri).validation_ok:
        return []
    failed = [str(verdict) for verdict in read_verdicts(uri) if not verdict.passed]
    return failed or ["TFMA's validation failed for a reason that no gate explains; see the evaluation's log"]


def _metrics(record: Any) -> list[Metric]:
    features = dict(_features(record.slice_key))
    split, group = features.pop("split", ""), _GROUPS.get(features.pop("is_cold_user", ""), "all")
    slice_name = ", ".join([group, *(f"{name}={value}" for name, value in features.items())])
    return [
        Metric(split, slice_name, _metric(key), value)
        for key, value in _values(record)
        if key.model_name in _CANDIDATE and not key.is_diff
    ]


def _features(slice_key: Any) -> tuple[tuple[str, str], ...]:
    """Returns the slice as (feature, value as text), sorted."""
    pairs = []
    for part in slice_key.single_slice_keys:
        value = getattr(part, part.WhichOneof("kind"))
        pairs.append((part.column, value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)))
    return tuple(sorted(pairs))


def _values(record: Any) -> Iterator[tuple[Any, float]]:
    """Yields the metric keys and values of a record, numbers only."""
    from tensorflow_model_analysis.metrics import metric_types

    for entry in record.metric_keys_and_values:
        if entry.value.WhichOneof("type") == "double_value":
            yield metric_types.MetricKey.from_proto(entry.key), entry.value.double_value.value


def _metric(key: Any) -> str:
    """Returns the name as in gates; a standard error's prefix comes first: `stderr_order/ndcg`."""
    if not key.output_name:
        return str(key.name)
    name = key.name.removeprefix(STANDARD_ERROR)
    return f"{STANDARD_ERROR if name != key.name else ''}{key.output_name}/{name}"


def _verdict(key: Any, features: dict[str, str], threshold: Any, values: dict[Any, float]) -> Verdict:
    found = values.get((tuple(sorted(features.items())), key))
    low, high, wanted = _range(threshold, key.is_diff)
    return Verdict(
        metric=_metric(key),
        split=features["split"],
        users=_GROUPS.get(features.get("is_cold_user", ""), "all"),
        wanted=wanted,
        found=found,
        passed=found is not None and low <= found <= high,
    )


def _range(threshold: Any, is_change: bool) -> tuple[float, float, str]:
    """Returns the lowest and the highest allowed value, and a text with both."""
    if is_change:
        limit = threshold.absolute.value
        lower = threshold.direction == 1
        wanted = f"a change of {'at most' if lower else 'at least'} {limit:+g} to the latest blessed model"
        return (-math.inf, limit, wanted) if lower else (limit, math.inf, wanted)
    low = threshold.lower_bound.value if threshold.HasField("lower_bound") else -math.inf
    high = threshold.upper_bound.value if threshold.HasField("upper_bound") else math.inf
    words = [f"at least {low:g}"] * math.isfinite(low) + [f"at most {high:g}"] * math.isfinite(high)
    return low, high, " and ".join(words)


def newest_evaluation(config: Config) -> Path:
    """Returns the folder of the newest evaluation.

    Raises:
      FileNotFoundError: nothing was evaluated yet.
    """
    folders = sorted(Path(paths.artifacts(config), "Evaluator", "evaluation").glob("[0-9]*"), key=lambda p: int(p.name))
    if not folders:
        raise FileNotFoundError(f"no evaluation in {paths.artifacts(config)}: run `tfx_runner.py run` first")
    return folders[-1]


def metrics_table(metrics: dict[str, float], title: str) -> Table:
    """Returns a table of the metrics with standard errors and the popularity baseline's, where there are any."""
    table = Table("metric", "value", "standard error", "popularity", title=title)
    for name, value in metrics.items():
        if not name.startswith(("stderr_", "popularity_", "lift_")):
            others = (metrics.get(f"{kind}_{name}") for kind in ("stderr", "popularity"))
            table.add_row(
                *[name, *("" if metric is None else metric_text(metric, ".4f") for metric in (value, *others))]
            )
    return table


def main() -> None:
    """Prints one split's headline metrics of the newest evaluation."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("config")
    parser.add_argument("--split", choices=["eval", "test"], default="test")
    arguments = parser.parse_args()
    import tfx.v1  # noqa: F401  (patches TFMA's protos)

    folder = newest_evaluation(load_config(arguments.config))
    Console(markup=False).print(metrics_table(headline(str(folder), arguments.split), f"{arguments.split}: {folder}"))


if __name__ == "__main__":
    main()
