import pytest
from tensorflow_metadata.proto.v0 import schema_pb2

from config.evaluation import DistanceConfig
from pipeline.validation.comparators import comparing_schema, thresholds
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
    comparing = comparing_schema(kind, DistanceConfig(**settings), MEASURES, curated())
    assert thresholds(kind, comparing) == expected


def test_types_are_those_of_the_schema_or_of_the_measure() -> None:
    comparing = comparing_schema("skew", DistanceConfig(threshold=0.1), MEASURES, curated())
    types = {feature.name: feature.type for feature in comparing.feature}
    assert types["is_positive"] == schema_pb2.INT
    assert types["item_id"] == schema_pb2.BYTES


def test_other_rules_of_the_schema_do_not_count() -> None:
    strict = curated()
    strict.feature[0].presence.min_fraction = 1.0
    comparing = comparing_schema("drift", DistanceConfig(), MEASURES, strict)
    assert not comparing.feature[0].HasField("presence")
