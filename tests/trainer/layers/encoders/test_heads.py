import numpy as np
import pytest
import tensorflow as tf

from trainer.layers.encoders.attention import DistanceBias, TimeBias, merge_heads, split_heads, time_buckets


def test_parts_then_heads_stand_side_by_side():
    values = tf.reshape(tf.range(2 * 3 * 8), [2, 3, 8])
    first, second = split_heads(values, 2, heads=2)
    assert first[0, 0].numpy().tolist() == [[0, 1], [8, 9], [16, 17]]
    assert first[0, 1].numpy().tolist() == [[2, 3], [10, 11], [18, 19]]
    assert second[1, 0].numpy().tolist() == [[28, 29], [36, 37], [44, 45]]


def test_merging_undoes_splitting():
    values = tf.random.stateless_normal([2, 3, 6], [1, 2])
    (split,) = split_heads(values, 1, heads=3)
    np.testing.assert_array_equal(merge_heads(split), values)


def test_heads_divide_the_dimension():
    with pytest.raises(ValueError, match=r"multiple of `heads`. Received: 4 and 3"):
        split_heads(tf.zeros([1, 1, 8]), 2, heads=3)


def test_a_distance_bias_tells_how_far_an_event_is():
    bias = DistanceBias(2, 3)
    bias.table.assign([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert bias(4)[0].numpy().tolist() == [[1, 1, 1, 1], [2, 1, 1, 1], [3, 2, 1, 1], [3, 3, 2, 1]]
    assert bias(2)[1].numpy().tolist() == [[4, 4], [5, 4]]


def test_a_time_bias_tells_how_long_ago_an_event_was():
    buckets = time_buckets(tf.constant([[10, 11, 13, 0]], tf.int64))
    assert buckets.numpy().tolist() == [[[1, 1, 1, 0], [2, 1, 1, 0], [3, 2, 1, 0], [0, 0, 0, 0]]]
    bias = TimeBias(2)
    bias.table.assign(np.stack([np.arange(32), -np.arange(32)]))
    assert bias(buckets)[0, 1].numpy().tolist() == [[-1, -1, -1, 0], [-2, -1, -1, 0], [-3, -2, -1, 0], [0, 0, 0, 0]]
