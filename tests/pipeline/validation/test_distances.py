from pathlib import Path

import pytest
from tensorflow_metadata.proto.v0 import schema_pb2

from config.evaluation import DistanceConfig
from pipeline.validation.distances import (
    Comparison,
    Distance,
    comparators,
    distribution_message,
    read_comparisons,
    summary,
    thresholds,
    write_comparisons,
)
from pipeline.validation.measures import JENSEN_SHANNON, L_INFINITY, Kind, Measure

MEASURES: dict[str, Measure] = {"item_id": L_INFINITY, "user_age": JENSEN_SHANNON, "is_positive": JENSEN_SHANNON}


def curated() -> schema_pb2.Schema:
    """With a comparator of each kind of comparison, of features that the configuration could not name."""
    return schema_pb2.Schema(
        feature=[
            {
                "name": "user_age",
                "type": "FLOAT",
                "drift_comparator": {"jensen_shannon_divergence": {"threshold": 0.3}},
            },
            {"name": "item_title", "type": "BYTES", "skew_comparator": {"infinity_norm": {"threshold": 0.4}}},
            {"name": "is_positive", "type": "INT"},
        ]
    )


@pytest.mark.parametrize(
    ("kind", "settings", "expected"),
    [
        ("drift", {}, {"user_age": (JENSEN_SHANNON, 0.3)}),
        ("skew", {}, {"item_title": (L_INFINITY, 0.4)}),
        ("drift", {"features": {"user_age": 0.2}}, {"user_age": (JENSEN_SHANNON, 0.2)}),
        (
            "drift",
            {"threshold": 0.1, "features": {"item_id": 0}},
            {"item_id": (L_INFINITY, 0), "user_age": (JENSEN_SHANNON, 0.3), "is_positive": (JENSEN_SHANNON, 0.1)},
        ),
    ],
    ids=["curated drift", "curated skew", "named before curated", "curated before the default"],
)
def test_the_nearest_threshold_counts(kind: Kind, settings: dict, expected: dict[str, tuple[Measure, float]]) -> None:
    assert thresholds(comparators(kind, DistanceConfig(**settings), MEASURES, curated())) == expected


def test_comparisons_are_kept(tmp_path: Path) -> None:
    distances = (Distance("item_id", L_INFINITY, 0.5, 0.1, "i7"), Distance("user_age", JENSEN_SHANNON, None, 0.1))
    comparisons = [
        Comparison("drift", "train", "runs/9", "runs/3", distances),
        Comparison("skew", "eval", "a", "b", ()),
    ]
    write_comparisons(str(tmp_path), comparisons)
    assert read_comparisons(str(tmp_path)) == comparisons


NEAR = Distance("is_positive", JENSEN_SHANNON, 0.0125, 0.1)
FAR = Distance("item_id", L_INFINITY, 0.5512, 0.1, "i7")
GONE = Distance("user_age", JENSEN_SHANNON, None, 0.1)
DRIFT = Comparison("drift", "train", "statistics/9/Split-train", "statistics/3/Split-train", (NEAR, FAR))
SKEW = Comparison("skew", "eval", "statistics/9/Split-eval", "statistics/9/Split-train", (GONE,))


def test_the_message_names_features_distances_artifacts_and_what_to_do() -> None:
    assert distribution_message([DRIFT, SKEW]) == (
        "2 distributions are too far from the reference:\n"
        "  drift of train: statistics/9/Split-train from statistics/3/Split-train\n"
        "    `item_id`: L-infinity distance 0.551, threshold 0.1, most of it by 'i7'\n"
        "  skew of eval: statistics/9/Split-eval from statistics/9/Split-train\n"
        "    `user_age`: no values to compare, and the reference has some\n"
        "Correct the data. Where the change is meant, raise the thresholds in `pipeline.drift.features` and "
        "`pipeline.skew.features`; `pipeline.drift.stop: false` and `pipeline.skew.stop: false` let the run go on."
    )
    assert distribution_message([SKEW]).endswith(
        "raise the thresholds in `pipeline.skew.features`; `pipeline.skew.stop: false` lets the run go on."
    )


def test_nothing_too_far_has_no_message() -> None:
    assert distribution_message([Comparison("skew", "test", "a", "b", (NEAR,))]) == ""


def test_the_summary_is_a_line() -> None:
    assert summary([]) == "nothing to compare with"
    near = Comparison("skew", "test", "a", "b", (NEAR, Distance("label_like", JENSEN_SHANNON, 0.0, 0.1)))
    assert summary([near]) == (
        "2 distances, nearest to its threshold: skew of test: `is_positive`: Jensen-Shannon divergence 0.0125, "
        "threshold 0.1"
    )
    many = Comparison("drift", "train", "a", "b", (FAR,) * 4)
    far = "drift of train: `item_id`: L-infinity distance 0.551, threshold 0.1, most of it by 'i7'"
    assert summary([near, many]) == f"too far: {far}; {far}; {far}; 1 more"
