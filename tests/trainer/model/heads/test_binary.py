import math

import numpy as np
import pytest
import tensorflow as tf

from config.tasks import BinaryTask
from tests.trainer.model.heads.windows import single
from trainer.data.batching import LabelStatistics
from trainer.model.heads.pointwise import BinaryHead

OUTPUT = tf.constant([[0.0], [2.0], [-1.0]])
YES, NO = [math.log1p(math.exp(-x)) for x in (0, 2, -1)], [math.log1p(math.exp(x)) for x in (0, 2, -1)]


def head(mean=0.5, **options):
    task = BinaryTask(kind="binary", label="like", hidden=(), **options)
    return BinaryHead("like", task, 4, LabelStatistics(mean, 0.5))


def test_the_loss_is_a_cross_entropy_of_logits():
    found = head().losses_of(OUTPUT, single([1.0, 1.0, 0.0]))
    np.testing.assert_allclose(found, [YES[0], YES[1], NO[2]], rtol=1e-5)


def test_smoothing_moves_a_share_of_the_label_to_a_half():
    found = head(label_smoothing=0.2).losses_of(OUTPUT, single([1.0, 1.0, 0.0]))
    expected = [0.9 * YES[0] + 0.1 * NO[0], 0.9 * YES[1] + 0.1 * NO[1], 0.1 * YES[2] + 0.9 * NO[2]]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_yes_weighs_more_than_a_no():
    found = head(positive_weight=3.0).losses_of(OUTPUT, single([1.0, 1.0, 0.0]))
    np.testing.assert_allclose(found, [3 * YES[0], 3 * YES[1], NO[2]], rtol=1e-5)


def test_predictions_are_probabilities():
    np.testing.assert_allclose(head().prediction(OUTPUT), 1 / (1 + np.exp([[0], [-2], [1]])), rtol=1e-6)


@pytest.mark.parametrize("weight", [1.0, 4.0])
def test_the_best_prediction_is_the_share_of_yes_whatever_their_weight(weight):
    """The gradient of the loss over one yes and three noes is 0 where the prediction is 1/4."""
    scored = head(positive_weight=weight)
    output = tf.Variable(tf.fill([4, 1], math.log(1 / 3) + math.log(weight)))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(scored.losses_of(output, single([1.0, 0.0, 0.0, 0.0])))
    assert float(tf.reduce_sum(tape.gradient(loss, output))) == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(scored.prediction(output), [[0.25]] * 4, rtol=1e-6)


@pytest.mark.parametrize("weight", [1.0, 4.0])
def test_a_head_starts_at_the_share_of_yes(weight):
    nothing, item = tf.zeros([1, 1, 6]), tf.zeros([1, 1], tf.int64)
    like = head(mean=0.8, positive_weight=weight)
    np.testing.assert_allclose(like.prediction(like(nothing, item)), [[0.8]], rtol=1e-5)
