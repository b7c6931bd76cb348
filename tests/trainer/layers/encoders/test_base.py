import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.layers.encoders.small import EVENTS, VISIBLE
from trainer.layers.encoders.base import before, gap_buckets, lagged, last_visible_before


def test_the_last_visible_event_before_each_place():
    assert last_visible_before(VISIBLE).numpy().tolist() == [[-1, 0, 0]]
    assert last_visible_before(tf.constant([[False, True, True]])).numpy().tolist() == [[-1, -1, 1]]


def test_a_place_knows_the_state_of_the_last_visible_event():
    found = before(EVENTS, tf.constant([[-1, 0, 0]]), tf.constant([7.0, 8.0]))
    np.testing.assert_array_equal(found, [[[7, 8], [1, 0], [1, 0]]])


def test_lagged_values():
    found = lagged(tf.constant([[4, 5, 6]], tf.int64), tf.constant([[-1, 0, 0]]))
    assert found.numpy().tolist() == [[0, 4, 4]]


@pytest.mark.parametrize(
    ("gap", "bucket"), [(0, 1), (1, 2), (2, 2), (3, 3), (7, 4), (8, 4), (2**20 - 1, 21), (2**40, 31), (-5, 1)]
)
def test_gaps_fall_into_powers_of_two(gap, bucket):
    found = gap_buckets(tf.constant([[10**6 + gap]], tf.int64), tf.constant([[10**6]], tf.int64), 32)
    assert found.numpy().tolist() == [[bucket]]


def test_a_gap_to_an_unknown_time_is_unknown():
    times, earlier = tf.constant([[0, 5]], tf.int64), tf.constant([[5, 0]], tf.int64)
    assert gap_buckets(times, earlier, 32).numpy().tolist() == [[0, 0]]
