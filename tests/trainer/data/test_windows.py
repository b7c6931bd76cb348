import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainer.small import ITEMS, USERS, draw_rows, small_config, small_spec, sparse_features
from trainer.data.windows import dense_windows, request_windows

SPEC = small_spec(small_config())


def windows(*rows):
    return {name: values.numpy().tolist() for name, values in dense_windows(sparse_features(list(rows)), SPEC).items()}


def requests(*rows):
    return {n: values.numpy().tolist() for n, values in request_windows(sparse_features(list(rows)), SPEC).items()}


def test_rows_are_padded_at_the_front():
    found = windows({"item_id": [3, 4, 5], "time": [10, 20, 30]}, {"item_id": [7], "time": [40]})
    assert found["mask"] == [[True, True, True], [False, False, True]]
    assert found["item_id"] == [[3, 4, 5], [ITEMS, ITEMS, 7]]
    assert found["time"] == [[10, 20, 30], [0, 0, 40]]


def test_the_newest_events_stay():
    found = windows({"item_id": list(range(9)), "is_target": [0, 1] * 4 + [0]})
    assert found["item_id"] == [[3, 4, 5, 6, 7, 8]]
    assert found["is_target"] == [[True, False, True, False, True, False]]


def test_absent_features_are_missing():
    found = windows({"item_id": [1, 2]})
    assert found["user_id"] == [USERS]
    assert found["user_gender"] == [2]
    assert found["user_tags"] == [[-1]]
    assert found["context_device"] == [[2, 2]]
    assert found["outcome_stars"] == [[5, 5]]
    assert found["outcome_dwell"] == [[0, 0]]
    assert found["weight_rating"] == [[0, 0]]
    assert found["time"] == [[0, 0]]


def test_users_keep_their_values():
    found = windows(
        {"user_id": [4], "user_gender": [1], "user_tags": [2, 0], "item_id": [1]}, {"user_id": [5], "item_id": [2]}
    )
    assert found["user_id"] == [4, 5]
    assert found["user_gender"] == [1, 2]
    assert [row[:2] for row in found["user_tags"]] == [[2, 0], [-1, -1]]


def test_a_window_without_events_is_all_padding():
    found = windows({"item_id": [], "user_id": [1]})
    assert found["mask"] == [[False]]
    assert found["item_id"] == [[ITEMS]]


def test_a_request_ends_with_the_event_to_come():
    found = requests({"item_id": [3, 4], "outcome_stars": [1, 2], "time": [10, 20, 35], "context_device": [0, 0, 1]})
    assert found["item_id"] == [[3, 4, ITEMS]]
    assert found["time"] == [[10, 20, 35]]
    assert found["context_device"] == [[0, 0, 1]]
    assert found["outcome_stars"] == [[1, 2, 5]]
    assert found["is_positive"] == [[True, True, False]]
    assert found["is_target"] == [[False, False, True]]


def test_the_time_and_context_of_a_request_that_does_not_say_are_unknown():
    found = requests({"item_id": [3, 4], "time": [10, 20], "context_device": [0, 0]}, {"item_id": [], "time": [50]})
    assert found["time"] == [[10, 20, 0], [0, 0, 50]]
    assert found["context_device"] == [[0, 0, 2], [2, 2, 2]]
    assert found["mask"] == [[True, True, True], [False, False, True]]


def test_a_long_request_keeps_the_newest_events():
    found = requests({"item_id": list(range(8))})
    assert found["item_id"] == [[3, 4, 5, 6, 7, ITEMS]]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 5))
def test_the_last_columns_are_the_row(seed, count):
    rows = draw_rows(seed, count)
    found = dense_windows(sparse_features(rows), SPEC)
    for b, row in enumerate(rows):
        kept = row["item_id"][-6:]
        assert found["item_id"][b, -len(kept) :].numpy().tolist() == kept
        assert int(tf.math.count_nonzero(found["mask"][b])) == len(kept)
        np.testing.assert_allclose(found["outcome_dwell"][b, -len(kept) :], row["outcome_dwell"][-6:], rtol=1e-6)


@pytest.mark.parametrize("layout_of", [dense_windows, request_windows])
def test_works_in_a_graph(layout_of):
    rows = draw_rows(0, 3)
    graph = tf.function(lambda features: layout_of(features, SPEC))(sparse_features(rows))
    for name, values in layout_of(sparse_features(rows), SPEC).items():
        np.testing.assert_array_equal(graph[name], values)
