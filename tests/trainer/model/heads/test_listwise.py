import numpy as np
import pytest
import tensorflow as tf

from config.tasks import ListwiseTask
from tests.trainer.model.heads.windows import compared, window
from trainer.data.batching import LabelStatistics
from trainer.model.heads.ordering import ListwiseHead

OUTPUT = tf.constant([[1.0, 0.0, -2.0, 9.0]])
MEMBER = [[True, True, True, False]]
LOG_SHARES = np.array([1.0, 0.0, -2.0]) - np.log(np.e + 1 + np.exp(-2))


def head(**options):
    task = ListwiseTask(kind="listwise", label="rating", hidden=(), **options)
    return ListwiseHead("order", task, 4, LabelStatistics(3.0, 2.0))


def test_listnet_is_the_cross_entropy_of_two_softmaxes():
    wanted = np.exp([2.0, 1.0, 0.5])  # labels in deviations
    expected = -(wanted / wanted.sum()) @ LOG_SHARES
    found = head().losses_of(OUTPUT, compared([[4.0, 2.0, 1.0, 50.0]], MEMBER))
    np.testing.assert_allclose(found, [expected], rtol=1e-5)


def test_softmax_takes_the_labels_as_shares():
    found = head(loss="softmax").losses_of(OUTPUT, compared([[3.0, 0.0, 1.0, 50.0]], MEMBER))
    np.testing.assert_allclose(found, [-(0.75 * LOG_SHARES[0] + 0.25 * LOG_SHARES[2])], rtol=1e-5)


def test_negative_labels_have_no_share():
    order = head(loss="softmax")
    targets = order.targets(window("order", {"label": [-2.0, 0.0, 1.0]}))
    assert targets.label.numpy()[:, :3].tolist() == [[1, 0, 0]]  # the list that ends with the second has no difference


@pytest.mark.parametrize("loss", ["listnet", "softmax"])
def test_the_loss_is_least_where_the_scores_follow_the_labels(loss):
    targets = compared([[2.0, 4.0, 1.0, 1.0]], MEMBER)
    if loss == "listnet":
        best = tf.Variable([[1.0, 2.0, 0.5, 7.0]])
    else:
        best = tf.Variable(np.log([[2.0, 4.0, 1.0, 99.0]]).astype(np.float32))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(head(loss=loss).losses_of(best, targets))
    np.testing.assert_allclose(tape.gradient(total, best), np.zeros((1, 4)), atol=1e-6)
