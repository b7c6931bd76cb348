"""The report's tables: metrics of an evaluation as rows that a template prints."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pipeline.evaluation.results import Metric
from pipeline.report.plots import Estimate, Pair
from trainer.metrics.names import LIFT, POPULARITY, STANDARD_ERROR
from trainer.metrics.request_forms import EVERYTHING, WORDS, of_form, without_form

_NAN = math.nan
Values = Mapping[str, float]
Slices = Mapping[tuple[str, str], Values]
"""Metrics by metric, by (split, slice)."""
_GROUPS = ("all", "warm", "cold")


class Row(NamedTuple):
    """A metric of the headline as text."""

    metric: str
    model: str
    popularity: str
    lift: str


class RequestTable(NamedTuple):
    """The metrics of requests in the forms that services send, and by form their values as text."""

    metrics: list[str]
    rows: list[tuple[str, list[str]]]


def by_slice(metrics: Sequence[Metric]) -> dict[tuple[str, str], dict[str, float]]:
    """Groups the metrics by (split, slice): eval before test, all before warm before cold."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for metric in sorted(metrics, key=lambda f: (f.split, _GROUPS.index(f.slice.split(",")[0]), f.slice)):
        found.setdefault((metric.split, metric.slice), {})[metric.metric] = metric.value
    return found


def compared(values: Values) -> list[str]:
    """Returns the metrics that have a baseline."""
    return [name for name in values if POPULARITY + name in values]


def pair(name: str, metric: str, values: Values) -> Pair:
    """Returns a metric of the model and of popularity, labelled with `name`."""
    return Pair(name, _estimate(values, metric), _estimate(values, POPULARITY + metric))


def headline_rows(values: Values) -> list[Row]:
    """Returns every metric of a slice: those with a baseline first, then the ranking tasks'."""
    rows = [Row(m, *(text(_estimate(values, kind + m)) for kind in ("", POPULARITY, LIFT))) for m in compared(values)]
    tasks = [n for n in values if "/" in n and not n.startswith(STANDARD_ERROR) and without_form(n) == n]
    return rows + [Row(name, text(_estimate(values, name)), "", "") for name in tasks]


def request_table(values: Values) -> RequestTable:
    """Returns HR and NDCG of the shortest list, recall of the longest, and the tasks' metrics, form by form."""
    whole = [name for name in values if name == of_form(EVERYTHING, without_form(name))]
    lists = [name for name in map(without_form, whole) if "@" in name]
    ks = sorted({int(name.partition("@")[2]) for name in lists})
    wanted = [f"hr@{ks[0]}", f"ndcg@{ks[0]}", f"recall@{ks[-1]}"] if ks else []
    metrics = [*wanted, *(name for name in map(without_form, whole) if "/" in name)]
    rows = [
        (words, [text(_estimate(values, of_form(form, metric))) for metric in metrics])
        for form, words in WORDS.items()
        if any(of_form(form, metric) in values for metric in metrics)
    ]
    return RequestTable(metrics, rows)


def text(estimate: Estimate) -> str:
    """Returns `0.1408 ± 0.0061`, or `undefined`, as of the AUC of labels that are all equal."""
    if math.isnan(estimate.value):
        return "undefined"
    whole = estimate.value > 1 and float(estimate.value).is_integer()
    value = f"{estimate.value:,.0f}" if whole else f"{estimate.value:.4f}"
    return value if math.isnan(estimate.error) else f"{value} ± {estimate.error:.4f}"


def leaves(counts: Mapping[str, Any], prefix: str = "") -> list[tuple[str, int]]:
    """Flattens nested counts: {"dropped": {"duplicate": 3}} -> [("dropped: duplicate", 3)]."""
    lines: list[tuple[str, int]] = []
    for name, value in counts.items():
        label = f"{prefix}{name.replace('_', ' ')}"
        lines += leaves(value, f"{label}: ") if isinstance(value, Mapping) else [(label, value)]
    return lines


def _estimate(values: Values, metric: str) -> Estimate:
    return Estimate(values.get(metric, _NAN), values.get(STANDARD_ERROR + metric, _NAN))
