import pytest
from tensorflow_metadata.proto.v0 import schema_pb2

from config.evaluation import DistanceConfig
from pipeline.validation.comparators import comparing_schema
from pipeline.validation.comparison import Distance
from pipeline.validation.distances import compare, read_distances
from pipeline.validation.measures import JENSEN_SHANNON, L_INFINITY, Kind, Measure
from tests.pipeline.validation.conftest import Row, statistics_of

NAN = float("nan")


def distances(kind: Kind, rows: list[Row], reference: list[Row], threshold: float = 0.1) -> list[Distance]:
    measures: dict[str, Measure] = {"item_id": L_INFINITY, "user_age": JENSEN_SHANNON}
    comparing = comparing_schema(kind, DistanceConfig(threshold=threshold), measures, schema_pb2.Schema())
    found, compared_with = statistics_of(rows), statistics_of(reference)
    return read_distances(kind, compare(kind, found, compared_with, comparing), compared_with, comparing)


def numbers(*values: float) -> list[Row]:
    return [{"user_age": [value]} for value in values]


def test_l_infinity_is_the_largest_difference_of_a_share_over_all_events() -> None:
    windows = [{"item_id": ["a", "a", "a"]}, {"item_id": ["b", "c"]}]  # shares .6, .2, .2
    reference = [{"item_id": ["a"]}, {"item_id": ["b", "b", "b"]}]  # shares .25, .75
    (found,) = distances("drift", windows, reference)
    assert found == Distance("item_id", L_INFINITY, pytest.approx(0.55), 0.1, "b")
    assert found.is_too_far


@pytest.mark.parametrize("kind", ["drift", "skew"])
def test_jensen_shannon_of_uniform_numbers(kind: Kind) -> None:
    """P is 1/10 on [0, 10], Q is 1/5 on [0, 5]; M, their mean, has shares 3/4 and 1/4 of the halves.

    KL(P, M) = 1/2 log2(2/3) + 1/2 log2(2), KL(Q, M) = log2(4/3), and the divergence is half of their sum: .3113.
    """
    wide, narrow = numbers(*(n / 100 for n in range(1001))), numbers(*(n / 100 for n in range(501)))
    (found,) = distances(kind, wide, narrow)
    assert found == Distance("user_age", JENSEN_SHANNON, pytest.approx(0.3113, abs=0.002), 0.1)


def test_missing_numbers_of_events_are_values() -> None:
    """Shares 1/2 and 1/2 beside 1: M has 3/4 and 1/4, as above."""
    (found,) = distances("drift", numbers(1.0, NAN), numbers(1.0, 1.0))
    assert found.found == pytest.approx(0.3113, abs=1e-4)


def test_one_outlier_is_no_drift() -> None:
    ages = [float(n % 50) for n in range(1000)]
    (found,) = distances("drift", numbers(*ages, 10_000.0), numbers(*ages))
    assert found.found is not None
    assert found.found < 0.1


def test_what_is_nearly_constant_is_near_a_constant() -> None:
    (found,) = distances("drift", numbers(*[1.0] * 999, 0.0), numbers(*[1.0] * 1000))
    assert found.found is not None
    assert found.found < 0.1


@pytest.mark.parametrize("kind", ["drift", "skew"])
def test_nothing_has_changed(kind: Kind) -> None:
    rows = [{"item_id": ["a", "b"], "user_age": [float(n)]} for n in range(20)]
    found = distances(kind, rows, rows, threshold=0)
    assert [(distance.feature, distance.found) for distance in found] == [("item_id", 0), ("user_age", 0)]
    assert not any(distance.is_too_far for distance in found)


@pytest.mark.parametrize("kind", ["drift", "skew"])
def test_what_is_gone_is_too_far_and_what_is_new_has_no_distance(kind: Kind) -> None:
    (gone,) = distances(kind, numbers(1.0), [{"item_id": ["a"]}], threshold=1)
    assert gone == Distance("item_id", L_INFINITY, None, 1)
    assert gone.is_too_far


def test_features_without_a_threshold_are_no_anomaly() -> None:
    rows = [{"item_id": ["a"], "user_zip": ["94043"]}]
    comparing = comparing_schema("drift", DistanceConfig(threshold=0), {"item_id": L_INFINITY}, schema_pb2.Schema())
    assert not compare("drift", statistics_of(rows), statistics_of(rows), comparing).anomaly_info
