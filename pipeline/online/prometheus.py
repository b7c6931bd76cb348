"""What was measured, as a file of Prometheus metrics for the node exporter's textfile collector."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pipeline.online.gates import Verdict
from pipeline.online.measures import Measured
from pipeline.report.prometheus import Metrics, Point, write_prometheus

PREFIX: Final = "recommender_online_"
METRICS: Final[Metrics] = {
    "requests": (("version",), "Logged requests."),
    "judged_requests": (("version",), "Logged requests whose window for outcomes is over."),
    "ctr": (("version",), "Clicked items of all that were shown."),
    "ctr_standard_error": (("version",), "The standard error of ctr, over users."),
    "ctr_at_rank": (("version", "rank"), "Clicked items of those shown at a rank, from 1."),
    "coverage": (("version",), "The share of the catalogue that was recommended."),
    "unknown_user_share": (("version",), "The share of requests whose user the model does not know."),
    "unknown_item_share": (("version",), "The share of items in histories that the model does not know."),
    "prediction_mean": (("version", "task"), "The mean prediction of items that got a label."),
    "label_mean": (("version", "task"), "The mean label of items that got one."),
    "calibration_error": (("version", "task"), "The expected calibration error."),
    "skew_distance": (("version", "feature"), "The distance of a feature from the training examples."),
    "skew_is_significant": (("version", "feature"), "1 where that distance is more than chance explains."),
    "gate_passed": (
        ("version", "gate"),
        "1 for a gate that holds, 0 for one that fails; none where it was not judged.",
    ),
    "last_run_timestamp_seconds": ((), "When this was measured."),
}


def write_metrics(
    path: Path, pipeline: str, measured: Sequence[Measured], version: int, verdicts: Sequence[Verdict]
) -> None:
    """Writes the file in one step, as the collector may read it at any time.

    Args:
      path: A local file, whose name should end with `.prom`.
      pipeline: The configuration's name, the label `pipeline` of each metric.
      measured: All versions in the logs.
      version: The version that the verdicts are of.
      verdicts: Of the gates.

    Raises:
      OSError: The file cannot be written.
    """
    points = [point for found in measured for point in _points(found)]
    passed = [(v.gate, None if v.passed is None else float(v.passed)) for v in verdicts]
    points += [("gate_passed", (str(version), gate), value) for gate, value in passed]
    points.append(("last_run_timestamp_seconds", (), time.time()))
    write_prometheus(path, pipeline, points, PREFIX, METRICS)


def _points(found: Measured) -> Iterator[Point]:
    v = str(found.version)
    yield "requests", (v,), found.requests
    yield "judged_requests", (v,), found.judged
    yield "ctr", (v,), found.ctr
    yield "ctr_standard_error", (v,), found.ctr_error
    yield "coverage", (v,), found.coverage
    yield "unknown_user_share", (v,), found.unknown_users
    yield "unknown_item_share", (v,), found.unknown_items
    for rank in found.ranks:
        yield "ctr_at_rank", (v, str(rank.rank)), rank.ctr
    for calibration in found.calibrations:
        yield "prediction_mean", (v, calibration.task), calibration.predicted
        yield "label_mean", (v, calibration.task), calibration.label
        yield "calibration_error", (v, calibration.task), calibration.error
    for skew in found.skews:
        yield "skew_distance", (v, skew.feature), skew.found
        yield "skew_is_significant", (v, skew.feature), float(skew.is_significant)
