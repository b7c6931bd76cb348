import math

import numpy as np
import pytest
import tensorflow as tf

from config.model import HistoryConfig
from tests.trainer.layers.encoders.small import EVENTS, TIMES, VISIBLE, randomness
from trainer.layers.encoders.attention import AttentionEncoder

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
