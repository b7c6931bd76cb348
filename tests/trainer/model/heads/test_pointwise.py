import numpy as np
import pytest
import tensorflow as tf

from config.tasks import RegressionTask
from tests.trainer.model.heads.windows import single
from trainer.data.batching import LabelStatistics
from trainer.model.heads.pointwise import RegressionHead

OUTPUT = tf.constant([[0.0], [2.0], [-1.0]])


def head(**bounds):
    task = RegressionTask(kind="regression", label="rating", hidden=(), **bounds)
    return RegressionHead("rating", task, 4, LabelStatistics(3.0, 2.0))


def test_the_loss_is_a_squared_error_in_deviations():
    np.testing.assert_allclose(head().losses_of(OUTPUT, single([5.0, 3.0, 1.0])), [1, 4, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [({}, [3, 7, 1]), ({"max": 5}, [3, 5, 1]), ({"min": 2}, [3, 7, 2]), ({"min": 2, "max": 5}, [3, 5, 2])],
)
def test_predictions_stay_inside_the_bounds(bounds, expected):
    np.testing.assert_allclose(head(**bounds).prediction(OUTPUT)[:, 0], expected)


def test_a_head_starts_at_the_labels_mean():
    rating = head()
    np.testing.assert_allclose(rating.prediction(rating(tf.zeros([1, 1, 6]), tf.zeros([1, 1], tf.int64))), [[3.0]])


def test_a_head_has_a_bias_for_each_item():
    rating = head()
    shared, item = tf.zeros([1, 2, 6]), tf.constant([[1, 4]], tf.int64)
    rating(shared, item)
    rating.item_bias.embeddings.assign([[0.0], [0.5], [0.0], [0.0], [-0.25]])
    np.testing.assert_allclose(rating(shared, item), [[0.5, -0.25]])
