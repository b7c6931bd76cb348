import math

import numpy as np
import pytest
import tensorflow as tf

from config.model import HistoryConfig
from tests.trainer.layers.encoders.small import EVENTS, TIMES, VISIBLE, draw, layer_norm, randomise, randomness, sigmoid
from trainer.layers.encoders.attention import (
    AttentionEncoder,
    DistanceBias,
    HSTUEncoder,
    TimeBias,
    merge_heads,
    split_heads,
    time_buckets,
)

# The norm of two values is +1 and -1 in their order.
SWAPPED = tf.constant([[[0.0, 1.0], [3.0, 2.0], [5.0, 1.0]]])
LAST = np.array([5, 1]) + (3 * np.array([-1, 1]) + np.array([1, -1])) / 4
"""At the last position the first event weighs 3 and its own 1."""


def value_only(**changes):
    """An attention of one head that adds the mean of the normed events, weighted by the biases alone."""
    config = HistoryConfig(heads=1, layers=1, dropout=0, max_events=3, **changes)
    attention = AttentionEncoder(config, randomness())
    attention(EVENTS, VISIBLE, TIMES)
    (block,) = attention.blocks
    block.project.kernel.assign(np.concatenate([np.zeros([2, 4]), np.eye(2)], axis=1))
    block.output_projection.kernel.assign(np.eye(2))
    block.contract.kernel.assign(np.zeros([4, 2]))
    return attention, block


def test_distances_weigh_events():
    attention, block = value_only()
    block.distance_bias.table.assign([[0.0, 9.0, math.log(3)]])
    norm = np.array([[1, -1], [1, -1], [1, -1]])
    np.testing.assert_allclose(attention(EVENTS, VISIBLE, TIMES), (EVENTS + norm), atol=1e-4)
    np.testing.assert_allclose(attention(SWAPPED, VISIBLE, TIMES)[0, 2], LAST, atol=1e-4)


def test_times_weigh_events():
    attention, block = value_only(time_bias=True)
    # 30 seconds before: 2^4 <= 1 + 30 < 2^5.
    block.time_bias.table.assign([[math.log(3) if bucket == 5 else 0.0 for bucket in range(32)]])
    np.testing.assert_allclose(attention(SWAPPED, VISIBLE, TIMES)[0, 2], LAST, atol=1e-4)


def test_attention_needs_a_dimension_that_the_heads_divide():
    attention = AttentionEncoder(HistoryConfig(heads=3), randomness())
    with pytest.raises(ValueError, match=r"multiple of `heads`. Received: 2 and 3"):
        attention(EVENTS, VISIBLE, TIMES)


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


def silu(values):
    return values * sigmoid(values)


def unit(block, events, times, heads):
    """One unit over events [L, D] that are all visible, position by position."""
    length, dimension = events.shape
    kernel, bias = (weight.numpy() for weight in block.project.weights)
    gate, query, key, value = np.split(silu(layer_norm(events) @ kernel + bias), 4, axis=1)
    distance_bias, time_bias = block.distance_bias.table.numpy(), block.time_bias.table.numpy()
    aggregated = np.zeros([length, dimension])
    for i in range(length):
        for head, columns in enumerate(np.split(np.arange(dimension), heads)):
            for j in range(i + 1):
                is_known = times[i] > 0 and times[j] > 0
                bucket = 1 + int(np.log2(1 + times[i] - times[j])) if is_known else 0
                logit = query[i, columns] @ key[j, columns] + distance_bias[head, i - j] + time_bias[head, bucket]
                aggregated[i, columns] += silu(logit) * value[j, columns] / (i + 1)
    kernel, bias = (weight.numpy() for weight in block.output_projection.weights)
    scale, offset = (weight.numpy() for weight in block.norms[1].weights)
    return events + ((layer_norm(aggregated) * scale + offset) * gate) @ kernel + bias


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("has_times", [True, False])
def test_units_by_hand(layers, has_times):
    encoder = HSTUEncoder(HistoryConfig(layers=layers, heads=2, max_events=6, dropout=0), randomness())
    events, times = draw(np.random.default_rng(2), 1, 6, dimension=4)
    times = times * has_times
    visible = np.array([True, True, False, True, True, False])
    encoder(events, visible[np.newaxis], times)
    randomise(encoder)
    for block in encoder.blocks:
        block.norms[0].gamma.assign(np.ones(4))
        block.norms[0].beta.assign(np.zeros(4))
    expected = events[0, visible]
    for block in encoder.blocks:
        expected = unit(block, expected, times[0, visible], heads=2)
    found = encoder(events, visible[np.newaxis], times)[0]
    np.testing.assert_allclose(found.numpy()[visible], expected, rtol=1e-3, atol=1e-3)


def test_the_heads_divide_the_dimension():
    encoder = HSTUEncoder(HistoryConfig(heads=3), randomness())
    with pytest.raises(ValueError, match=r"multiple of `heads`. Received: 4 and 3"):
        encoder(tf.zeros([1, 2, 4]), tf.ones([1, 2], tf.bool), tf.zeros([1, 2], tf.int64))
