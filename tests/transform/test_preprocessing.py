from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft

from config import ConfigError
from tests.transform.conftest import ITEMS, NAN, WINDOWS, as_example
from transform.preprocessing import preprocessing_fn

Transform = Callable[..., dict[str, list[list]]]
V, U = 5, 1


@pytest.fixture(scope="module")
def windows(transform: Transform) -> dict[str, list[list]]:
    return transform(*WINDOWS)


@pytest.fixture(scope="module")
def items(transform: Transform) -> dict[str, list[list]]:
    return transform(*ITEMS)


def test_item_ids_of_events_and_catalogue_share_one_vocabulary(
    windows: dict[str, list[list]], items: dict[str, list[list]]
) -> None:
    assert windows["item_id"] == [[0, 1, 0, 2], [0, 2], [V]]
    assert items["catalogue_id"] == [[1], [0], [4], [3]]
    assert items["item_id"] == [[]] * 4


def test_seen_items_are_looked_up_too(transform: Transform) -> None:
    assert transform({"seen_item_id": ["unsold", "never", "b"]})["seen_item_id"] == [[4, V, 0]]


def test_user_ids(windows: dict[str, list[list]]) -> None:
    assert windows["user_id"] == [[0], [0], [U]]


def test_labels_weights_and_flags_pass_unchanged(transform: Transform) -> None:
    row = {
        "item_id": ["a", "b"],
        "time": [7, 9],
        "is_positive": [0, 1],
        "is_target": [0, 1],
        "label_rating": [2.5, 0.0],
        "weight_rating": [1.0, 0.0],
        "is_cold_user": [1],
        "target_count": [3],
        "split": ["eval"],
    }
    outputs = transform(row)
    for name in row.keys() - {"item_id", "split"}:
        assert outputs[name] == [row[name]]
    assert "split" not in outputs


def test_categorical_counts_each_training_event_once(windows: dict[str, list[list]]) -> None:
    # As targets: tv 2, pc 2, phone 1 (once more as context, which does not count): min_count is 2.
    device = windows["context_device"]
    assert device[0] == [1, 1, 4, 0]
    assert device[1][0] == device[1][1]
    assert device[1][0] in (2, 3)  # one of two OOV buckets
    assert device[2] == [0]


def test_multi_valued_keeps_the_most_frequent_values(items: dict[str, list[list]]) -> None:
    genres = items["item_genres"]
    assert genres[:2] == [[0, 1], [0]]  # drama 2, war 2; max_values is 2
    assert genres[2][0] == 1
    assert genres[2][1] in (2, 3, 4)  # noir, in one of three OOV buckets
    assert genres[3] == []


def test_multi_valued_drops_empty_values(transform: Transform) -> None:
    assert transform({"user_tags": ["y", "", "x"]})["user_tags"] == [[1, 0]]


def test_text_becomes_its_first_words(items: dict[str, list[list]]) -> None:
    # "the thing", "a thing a (thing)", "été l été (the the)": a 2, thing 2, été 2 known; "the" and "l" once each.
    assert items["item_title"] == [[3, 1], [0, 1, 0], [], [2, 3, 2]]


def test_z_score_of_a_user(windows: dict[str, list[list]]) -> None:
    ages = np.array([20.0, 20.0, 40.0])  # as often as there are windows
    expected = (ages - 80 / 3) / np.sqrt(800 / 9)
    np.testing.assert_allclose(np.ravel(windows["user_age"]), expected, rtol=1e-6)


def test_z_score_of_events_ignores_nan_and_context(windows: dict[str, list[list]]) -> None:
    # Known prices of targets: 1, 3, 1, 3: mean 2, deviation 1.
    assert windows["context_price"] == [[-1, 1, 0, -1], [997, 1], [0]]


@pytest.mark.parametrize("value", [NAN, float("inf"), float("-inf")])
def test_numbers_that_are_none_are_missing(transform: Transform, value: float) -> None:
    outputs = transform({"context_price": [value], "item_year": [value]})
    assert outputs["context_price"] == [[0]]
    assert outputs["item_year"] == [[4]]


def test_quantile_buckets(transform: Transform, items: dict[str, list[list]]) -> None:
    assert items["item_year"] == [[0], [1], [2], [3]]
    assert transform({"item_year": [1800.0]}, {"item_year": [2100.0]}, {})["item_year"] == [[0], [3], []]


def test_time(transform: Transform) -> None:
    # 1970-01-01 was a Thursday; 1_700_000_000 is Tuesday, 2023-11-14 22:13:20 UTC.
    times = [0, 1_700_000_000, -1]
    outputs = transform({"context_hour": times, "context_slot": times, "user_born": [1_700_000_000]})
    assert outputs["context_hour"] == [[0, 22, 24]]
    assert outputs["context_slot"] == [[3 * 24, 24 + 22, 168]]
    assert outputs["user_born"] == [[1]]


def test_cross_of_events_stays_aligned(windows: dict[str, list[list]]) -> None:
    tv, pc, phone = tf.strings.to_hash_bucket_fast(["tv\x1fhome", "pc\x1flist", "phone\x1f"], 20).numpy()
    assert windows["context_position"][:2] == [[tv, tv, 20, pc], [phone, phone]]


def test_cross_of_a_user_who_lacks_a_part(transform: Transform) -> None:
    both, one = tf.strings.to_hash_bucket_fast(["F\x1fRome", "\x1fRome"], 50).numpy()
    rows = {"user_gender": ["F"], "user_city": ["Rome"]}, {"user_city": ["Rome"]}, {}
    assert transform(*rows)["user_gender_city"] == [[both], [one], []]


def test_a_request_has_one_more_context_than_items(transform: Transform) -> None:
    outputs = transform({"item_id": ["a"], "outcome_rating": ["4"], "time": [1, 2], "context_device": ["tv", "pc"]})
    assert outputs["item_id"] == [[1]]
    assert outputs["time"] == [[1, 2]]
    assert outputs["context_device"] == [[1, 0]]
    assert len(outputs["outcome_rating"][0]) == 1


def test_sessions_are_fingerprints(windows: dict[str, list[list]]) -> None:
    seven, eight = tf.strings.to_hash_bucket_fast(["7", "8"], (1 << 63) - 1).numpy()
    assert windows["session_page"] == [[seven, -1, eight, seven], [], []]


def test_features_without_any_training_value(transform: Transform) -> None:
    outputs = transform({"user_job": ["clerk"]}, {"user_job": [""]}, {})
    assert outputs["user_job"] == [[1], [2], []]
    assert outputs["user_team"] == [[], [], []]


def test_an_empty_example_transforms(transform: Transform, tft_output: tft.TFTransformOutput) -> None:
    outputs = transform({}, {})
    assert set(outputs) == set(tft_output.transformed_feature_spec())
    assert all(values == [[], []] for values in outputs.values())


def test_transform_raw_features_takes_it_too(tft_output: tft.TFTransformOutput) -> None:
    raw = tf.io.parse_example([as_example({}).SerializeToString()], tft_output.raw_feature_spec())
    outputs = tft_output.transform_raw_features(raw)
    assert all(value.dense_shape[0] == 1 and tf.size(value.values) == 0 for value in outputs.values())


def test_transformed_features_have_variable_length(tft_output: tft.TFTransformOutput) -> None:
    spec = tft_output.transformed_feature_spec()
    assert all(isinstance(feature, tf.io.VarLenFeature) for feature in spec.values())
    assert spec["user_age"].dtype == tf.float32
    assert spec["item_title"].dtype == tf.int64


def test_a_configuration_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(ConfigError, match="custom_config"):
        preprocessing_fn({}, {"config": "{}"})
