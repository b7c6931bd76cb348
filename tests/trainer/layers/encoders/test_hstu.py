import numpy as np
import pytest
import tensorflow as tf

from config.model import HistoryConfig
from tests.trainer.layers.encoders.small import draw, layer_norm, randomise, randomness, sigmoid
from trainer.layers.encoders.hstu import HSTUEncoder


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
