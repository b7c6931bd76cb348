"""A run as Prometheus metrics, `metrics.prom`, for the node exporter's textfile collector."""

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

Metrics = Mapping[str, tuple[tuple[str, ...], str]]
"""By name without a prefix: the labels beside `pipeline`, and the help. All are gauges."""

FILE: Final = "metrics.prom"
PREFIX: Final = "recommender_run_"
METRICS: Final[Metrics] = {
    "timestamp_seconds": ((), "When the newest run ended."),
    "duration_seconds": ((), "The seconds of the run."),
    "failed": ((), "1 if a component failed, else 0."),
    "serves": ((), "1 if servers answer from the run's model, else 0."),
    "component_duration_seconds": (("component", "state"), "The seconds of a component, also from the cache."),
    "log_rows": (("outcome",), "Rows of the log that were read, and kept of them."),
    "examples": (("split",), "Examples that ingest wrote."),
    "metric": (("split", "metric"), "A metric of the evaluated model, such as ndcg@10."),
    "metric_standard_error": (("split", "metric"), "Its standard error over users."),
    "gate_passed": (("split", "metric"), "1 for a gate that holds, else 0."),
    "disk_bytes": ((), "The bytes of the pipeline's folder; a file with several names counts once."),
    "served_version_timestamp_seconds": ((), "When the version that servers answer from was pushed."),
    "served_version_age_seconds": ((), "Its age when the run ended."),
}

Point = tuple[str, tuple[str, ...], float | None]
"""A metric's name, the values of its labels, and its value; None: it is not known."""


def write_prometheus(
    path: Path, pipeline: str, points: Iterable[Point], prefix: str = PREFIX, metrics: Metrics = METRICS
) -> None:
    """Writes the file in one step, as the collector may read it at any time. Raises `OSError`."""
    registry = CollectorRegistry()
    gauges = {n: Gauge(prefix + n, text, ["pipeline", *of], registry=registry) for n, (of, text) in metrics.items()}
    for name, labels, value in points:
        if value is not None and math.isfinite(value):
            gauges[name].labels(pipeline, *labels).set(value)
    write_to_textfile(str(path), registry)


def run_points(seconds: float, components: Mapping[str, tuple[str, float]], failed: bool, serves: bool) -> list[Point]:
    """Returns the points of a run's end.

    Args:
      seconds: Of the run.
      components: State and seconds of each component.
      failed: Whether one failed.
      serves: Whether servers answer from the run's model.
    """
    points: list[Point] = [("timestamp_seconds", (), time.time()), ("duration_seconds", (), seconds)]
    points += [("failed", (), float(failed)), ("serves", (), float(serves))]
    return points + [("component_duration_seconds", (n, state), own) for n, (state, own) in components.items()]


def record_points(record: Mapping[str, Any], metrics: Mapping[str, Any]) -> Iterator[Point]:
    """Yields the points of a run's `run.json` and `metrics.json`."""
    for name, value in record["data"].items():
        section, _, what = name.partition(": ")
        if section == "log":
            yield "log_rows", (what,), value
        elif what == "examples":
            yield "examples", (section,), value
    for split, of in metrics["splits"].items():
        for name, metric in of["metrics"].items():
            yield "metric", (split, name), metric["value"]
            yield "metric_standard_error", (split, name), metric.get("standard_error")
    for gate in metrics["gates"]:
        yield "gate_passed", (gate["split"], gate["metric"]), float(gate["passed"])


def served_points(version: int | None) -> Iterator[Point]:
    """Yields the points of the version that servers answer from: versions are the seconds in which they were pushed."""
    if version is not None:
        yield "served_version_timestamp_seconds", (), version
        yield "served_version_age_seconds", (), time.time() - version
