import math

import numpy as np
import tensorflow as tf

from tests.trainer.layers.encoders.small import EVENTS, TIMES, VISIBLE
from trainer.layers.encoders.sums import DecayEncoder, MeanEncoder


def test_the_mean_is_of_the_visible_events_so_far():
    found = MeanEncoder()(EVENTS, VISIBLE, TIMES)
    np.testing.assert_allclose(found, [[[1, 0], [1, 0], [3, 0.5]]])


def test_the_mean_of_nothing_is_zero():
    np.testing.assert_allclose(MeanEncoder()(EVENTS, tf.zeros_like(VISIBLE), TIMES), np.zeros([1, 3, 2]))


def test_decay_weighs_an_event_by_the_rate_to_the_power_of_the_positions_since():
    decay = DecayEncoder(2)
    decay(EVENTS, VISIBLE, TIMES)
    decay.log_rate.assign([math.log(-math.log(0.5)), math.log(-math.log(0.25))])
    decay.mix.kernel.assign([[1, 0], [0, 1], [10, 0], [0, 10]])
    half, quarter = np.array([0.25 + 5, 1.0]) / 1.25, np.array([0.0625 + 5, 1.0]) / 1.0625
    np.testing.assert_allclose(decay.rates(), [0.5, 0.25], rtol=1e-6)
    found = decay(EVENTS, VISIBLE, TIMES)
    np.testing.assert_allclose(found, [[[11, 0], [11, 0], half + 10 * quarter]], rtol=1e-5)


def test_decay_rates_start_between_fast_and_slow():
    decay = DecayEncoder(4)
    decay(EVENTS, VISIBLE, TIMES)
    rates = decay.rates().numpy()
    np.testing.assert_allclose([rates[0], rates[-1]], [0.35, 0.995], rtol=1e-5)
    assert (np.diff(rates) > 0).all()
