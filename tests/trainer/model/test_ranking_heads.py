import math

import numpy as np
import pytest
import tensorflow as tf

from config.tasks import BinaryTask, ListwiseTask, PairwiseTask, RegressionTask
from tests.trainer.losses.windows import compared, single, window
from trainer.data.batching import LabelStatistics
from trainer.model.ranking_heads import BinaryHead, ListwiseHead, PairwiseHead, RegressionHead

STANDARDISED = tf.constant([[0.0], [2.0], [-1.0]])


def regression_head(**bounds):
    task = RegressionTask(kind="regression", label="rating", hidden=(), **bounds)
    return RegressionHead("rating", task, 4, LabelStatistics(3.0, 2.0))


def test_the_loss_is_a_squared_error_in_deviations():
    np.testing.assert_allclose(regression_head().losses_of(STANDARDISED, single([5.0, 3.0, 1.0])), [1, 4, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [({}, [3, 7, 1]), ({"max": 5}, [3, 5, 1]), ({"min": 2}, [3, 7, 2]), ({"min": 2, "max": 5}, [3, 5, 2])],
)
def test_predictions_stay_inside_the_bounds(bounds, expected):
    np.testing.assert_allclose(regression_head(**bounds).prediction(STANDARDISED)[:, 0], expected)


def test_a_head_starts_at_the_labels_mean():
    rating = regression_head()
    np.testing.assert_allclose(rating.prediction(rating(tf.zeros([1, 1, 6]), tf.zeros([1, 1], tf.int64))), [[3.0]])


def test_a_head_has_a_bias_for_each_item():
    rating = regression_head()
    shared, item = tf.zeros([1, 2, 6]), tf.constant([[1, 4]], tf.int64)
    rating(shared, item)
    rating.item_bias.embeddings.assign([[0.0], [0.5], [0.0], [0.0], [-0.25]])
    np.testing.assert_allclose(rating(shared, item), [[0.5, -0.25]])


LOG_ODDS = tf.constant([[0.0], [2.0], [-1.0]])
YES, NO = [math.log1p(math.exp(-x)) for x in (0, 2, -1)], [math.log1p(math.exp(x)) for x in (0, 2, -1)]


def binary_head(mean=0.5, **options):
    task = BinaryTask(kind="binary", label="like", hidden=(), **options)
    return BinaryHead("like", task, 4, LabelStatistics(mean, 0.5))


def test_the_loss_is_a_cross_entropy_of_logits():
    found = binary_head().losses_of(LOG_ODDS, single([1.0, 1.0, 0.0]))
    np.testing.assert_allclose(found, [YES[0], YES[1], NO[2]], rtol=1e-5)


def test_smoothing_moves_a_share_of_the_label_to_a_half():
    found = binary_head(label_smoothing=0.2).losses_of(LOG_ODDS, single([1.0, 1.0, 0.0]))
    expected = [0.9 * YES[0] + 0.1 * NO[0], 0.9 * YES[1] + 0.1 * NO[1], 0.1 * YES[2] + 0.9 * NO[2]]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_yes_weighs_more_than_a_no():
    found = binary_head(positive_weight=3.0).losses_of(LOG_ODDS, single([1.0, 1.0, 0.0]))
    np.testing.assert_allclose(found, [3 * YES[0], 3 * YES[1], NO[2]], rtol=1e-5)


def test_predictions_are_probabilities():
    np.testing.assert_allclose(binary_head().prediction(LOG_ODDS), 1 / (1 + np.exp([[0], [-2], [1]])), rtol=1e-6)


@pytest.mark.parametrize("weight", [1.0, 4.0])
def test_the_best_prediction_is_the_share_of_yes_whatever_their_weight(weight):
    """The gradient of the loss over one yes and three noes is 0 where the prediction is 1/4."""
    scored = binary_head(positive_weight=weight)
    output = tf.Variable(tf.fill([4, 1], math.log(1 / 3) + math.log(weight)))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(scored.losses_of(output, single([1.0, 0.0, 0.0, 0.0])))
    assert float(tf.reduce_sum(tape.gradient(loss, output))) == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(scored.prediction(output), [[0.25]] * 4, rtol=1e-6)


@pytest.mark.parametrize("weight", [1.0, 4.0])
def test_a_head_starts_at_the_share_of_yes(weight):
    nothing, item = tf.zeros([1, 1, 6]), tf.zeros([1, 1], tf.int64)
    like = binary_head(mean=0.8, positive_weight=weight)
    np.testing.assert_allclose(like.prediction(like(nothing, item)), [[0.8]], rtol=1e-5)


PAIRS = tf.constant([[2.0, 0.5], [2.0, 0.5], [0.0, 0.0]])
LABEL = [[5.0, 1.0], [0.0, 1.0], [3.0, 4.0]]
"""The better one is ahead by 1.5, behind by 1.5, level."""


def pairwise_head(**options):
    task = PairwiseTask(kind="pairwise", label="rating", hidden=(), **options)
    return PairwiseHead("order", task, 4, LabelStatistics(3.0, 2.0))


def test_bpr_is_the_logistic_loss_of_the_difference():
    expected = [math.log1p(math.exp(-d)) for d in (1.5, -1.5, 0)]
    np.testing.assert_allclose(pairwise_head().losses_of(PAIRS, compared(LABEL)), expected, rtol=1e-6)


@pytest.mark.parametrize(("margin", "expected"), [(1.0, [0, 2.5, 1]), (2.0, [0.5, 3.5, 2])])
def test_hinge_wants_a_margin(margin, expected):
    np.testing.assert_allclose(pairwise_head(loss="hinge", margin=margin).losses_of(PAIRS, compared(LABEL)), expected)


def test_the_prediction_is_the_score():
    np.testing.assert_array_equal(pairwise_head().prediction(PAIRS), PAIRS)


def test_only_differences_count_so_nothing_is_added_to_every_score():
    order = pairwise_head()
    order(tf.zeros([1, 1, 6]), tf.zeros([1, 1], tf.int64))
    assert not order.project.use_bias


LISTS = tf.constant([[1.0, 0.0, -2.0, 9.0]])
MEMBER = [[True, True, True, False]]
LOG_SHARES = np.array([1.0, 0.0, -2.0]) - np.log(np.e + 1 + np.exp(-2))


def listwise_head(**options):
    task = ListwiseTask(kind="listwise", label="rating", hidden=(), **options)
    return ListwiseHead("order", task, 4, LabelStatistics(3.0, 2.0))


def test_listnet_is_the_cross_entropy_of_two_softmaxes():
    wanted = np.exp([2.0, 1.0, 0.5])  # labels in deviations
    expected = -(wanted / wanted.sum()) @ LOG_SHARES
    found = listwise_head().losses_of(LISTS, compared([[4.0, 2.0, 1.0, 50.0]], MEMBER))
    np.testing.assert_allclose(found, [expected], rtol=1e-5)


def test_softmax_takes_the_labels_as_shares():
    found = listwise_head(loss="softmax").losses_of(LISTS, compared([[3.0, 0.0, 1.0, 50.0]], MEMBER))
    np.testing.assert_allclose(found, [-(0.75 * LOG_SHARES[0] + 0.25 * LOG_SHARES[2])], rtol=1e-5)


def test_negative_labels_have_no_share():
    order = listwise_head(loss="softmax")
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
        total = tf.reduce_sum(listwise_head(loss=loss).losses_of(best, targets))
    np.testing.assert_allclose(tape.gradient(total, best), np.zeros((1, 4)), atol=1e-6)
