import math

import numpy as np
import pytest
import tensorflow as tf

from pipeline.config.tasks import BinaryTask, RegressionTask
from trainer.tasks import LabelStatistics, RankingHead

OUTPUT = tf.constant([0.0, 2.0, -1.0])


def binary(**statistics):
    task = BinaryTask(kind="binary", label="like", hidden=())
    return RankingHead("like", task, 4, LabelStatistics(**statistics))


def regression(**bounds):
    task = RegressionTask(kind="regression", label="rating", hidden=(), **bounds)
    return RankingHead("rating", task, 4, LabelStatistics(3.0, 2.0))


def test_binary_is_a_cross_entropy_of_logits():
    expected = [math.log(2), math.log(1 + math.exp(-2)), math.log(1 + math.exp(-1))]
    np.testing.assert_allclose(binary().losses_of(OUTPUT, tf.constant([1.0, 1.0, 0.0])), expected, rtol=1e-5)


def test_binary_predicts_probabilities():
    np.testing.assert_allclose(binary().prediction(OUTPUT), 1 / (1 + np.exp([0, -2, 1])), rtol=1e-6)


def test_regression_is_a_squared_error_in_deviations():
    np.testing.assert_allclose(regression().losses_of(OUTPUT, tf.constant([5.0, 3.0, 1.0])), [1, 4, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [({}, [3, 7, 1]), ({"max": 5}, [3, 5, 1]), ({"min": 2}, [3, 7, 2]), ({"min": 2, "max": 5}, [3, 5, 2])],
)
def test_regression_predicts_inside_its_bounds(bounds, expected):
    np.testing.assert_allclose(regression(**bounds).prediction(OUTPUT), expected)


def test_a_head_starts_at_the_labels_mean():
    nothing, item = tf.zeros([1, 1, 6]), tf.zeros([1, 1], tf.int64)
    like, rating = binary(mean=0.8), regression()
    np.testing.assert_allclose(like.prediction(like(nothing, item)), [[0.8]], rtol=1e-5)
    np.testing.assert_allclose(rating.prediction(rating(nothing, item)), [[3.0]], rtol=1e-5)


def test_a_head_has_a_bias_for_each_item():
    head = regression()
    shared, item = tf.zeros([1, 2, 6]), tf.constant([[1, 4]], tf.int64)
    head(shared, item)
    head.item_bias.embeddings.assign([[0.0], [0.5], [0.0], [0.0], [-0.25]])
    np.testing.assert_allclose(head(shared, item), [[0.5, -0.25]])
