import numpy as np
import tensorflow as tf

from tests.trainer.layers.encoders.small import EVENTS, TIMES, VISIBLE
from trainer.layers.encoders.sums import MeanEncoder


def test_the_mean_is_of_the_visible_events_so_far():
    found = MeanEncoder()(EVENTS, VISIBLE, TIMES)
    np.testing.assert_allclose(found, [[[1, 0], [1, 0], [3, 0.5]]])


def test_the_mean_of_nothing_is_zero():
    np.testing.assert_allclose(MeanEncoder()(EVENTS, tf.zeros_like(VISIBLE), TIMES), np.zeros([1, 3, 2]))
