from math import erf

import numpy as np
import pytest
import tensorflow as tf

from config.model import HistoryConfig
from tests.trainer.layers.encoders.small import draw, layer_norm, randomise, randomness
from trainer.layers.encoders.convolution import ConvolutionBlock, ConvolutionEncoder, running_maximum, shifted

VALUES = tf.constant([[[1.0, -5.0], [4.0, -6.0], [2.0, -3.0], [3.0, -4.0]]])


def test_shifts_by_a_number_of_positions():
    assert shifted(VALUES, 2)[0].numpy().tolist() == [[0, 0], [0, 0], [1, -5], [4, -6]]
    assert shifted(VALUES, 9)[0].numpy().tolist() == [[0, 0]] * 4


@pytest.mark.parametrize("longest", [4, 5, 100])
def test_the_maximum_so_far(longest):
    assert running_maximum(VALUES, longest)[0].numpy().tolist() == [[1, -5], [4, -5], [4, -3], [4, -3]]


def test_a_block_adds_a_dilated_sum():
    block = ConvolutionBlock(HistoryConfig(kernel_size=3, dropout=0), 2, randomness(), "block")
    block(VALUES)
    kernel = np.random.default_rng(0).normal(size=[3, 2, 2])
    block.convolve.kernel.assign(kernel.reshape(6, 2))
    block.convolve.bias.assign([0.5, -0.5])
    norm = layer_norm(VALUES[0].numpy())
    for position, value in enumerate(VALUES[0].numpy()):
        sums = np.array([0.5, -0.5])
        for lag in range(3):
            if position - 2 * lag >= 0:
                sums = sums + norm[position - 2 * lag] @ kernel[lag]
        gelu = np.array([x * (1 + erf(x / 2**0.5)) / 2 for x in sums])
        np.testing.assert_allclose(block(VALUES)[0, position], value + gelu, atol=1e-4)


def test_the_receptive_field_is_as_documented_and_the_maximum_sees_all():
    config = HistoryConfig(kernel_size=3, dilations=(1, 2), max_events=20, dropout=0)
    encoder = ConvolutionEncoder(config, randomness())
    events, times = draw(np.random.default_rng(0), 1, 20)
    visible = tf.ones([1, 20], tf.bool)
    encoder(events, visible, times)
    randomise(encoder)
    encoder.mix.kernel.assign(np.concatenate([np.eye(8), np.zeros([8, 8])]))
    assert first_that_matters(encoder, events, visible, times) == 20 - (1 + (3 - 1) * (1 + 2))
    encoder.mix.kernel.assign(np.concatenate([np.zeros([8, 8]), np.eye(8)]))
    events[0, 0] = 50 * np.arange(8)
    assert first_that_matters(encoder, events, visible, times) == 0


def first_that_matters(encoder, events, visible, times):
    """The first position whose event changes the last state."""
    last = encoder(events, visible, times)[0, -1].numpy()
    for position in range(events.shape[1]):
        other = events.copy()
        other[0, position] += np.arange(8)
        if np.abs(encoder(other, visible, times)[0, -1].numpy() - last).max() > 1e-4:
            return position
    return None
