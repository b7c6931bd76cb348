import numpy as np
import pytest
import tensorflow as tf

from config.tasks import RetrievalTask
from tests.trainer.losses.test_targets import SIZE, targets
from trainer.losses.negatives import AllItems, make_negatives
from trainer.losses.softmax import Moments, OwnFeatures
from trainer.losses.targets import RetrievalTargets
from trainer.model.popularity import PastScores
from trainer.model.retrieval import retrieval_loss


def losses(found, scores, negatives=None, trend=None, **task):
    """Of each row, from embeddings whose products are the scores; in the sum of all a row alone has weights."""
    query = tf.constant(scores, tf.float32)
    table = tf.eye(SIZE + 1)[:, :SIZE]
    found = RetrievalTargets(**found)
    negatives = AllItems(SIZE)(found, query) if negatives is None else make_negatives(*negatives, found.blocked)

    def loss_of(row):
        is_row = tf.one_hot(row, query.shape[0])[:, tf.newaxis]
        return retrieval_loss(
            query=query,
            target_embeddings=tf.gather(table, found.item),
            negative_embeddings=tf.gather(table, negatives.item),
            targets=found._replace(weight=found.weight * is_row),
            negatives=negatives,
            task=RetrievalTask(kind="retrieval", **task),
            size=SIZE,
            trend=trend,
        )

    return np.array([loss_of(row) for row in range(query.shape[0])])


def test_the_full_softmax_leaves_out_the_history():
    found = targets([3, 1, 4], next_events=1)
    scores = np.random.default_rng(0).normal(size=[3, SIZE])
    loss = losses(found, scores)
    for row, (target, history) in enumerate([(3, []), (1, [3]), (4, [3, 1])]):
        kept = [i for i in range(SIZE) if i not in history]
        expected = np.log(np.exp(scores[row, kept]).sum()) - scores[row, target]
        assert loss[row] == pytest.approx(expected, rel=1e-5)


def test_several_targets_share_the_cross_entropy():
    found = targets([3, 1], next_events=2)
    scores = np.arange(2 * SIZE).reshape(2, SIZE) / 10
    log_sum = np.log(np.exp(scores[0]).sum())
    expected = 2 / 3 * (log_sum - scores[0, 3]) + 1 / 3 * (log_sum - scores[0, 1])
    assert losses(found, scores)[0] == pytest.approx(expected, rel=1e-5)


def test_sampled_negatives_are_corrected_and_targets_are_not():
    found = targets([3, 1], next_events=1)
    negatives = tf.constant([1, 2, 3], tf.int64), tf.math.log([2.0, 3.0, 5.0])
    scores = np.arange(2 * SIZE).reshape(2, SIZE) / 10
    expected_first = np.log(np.exp(scores[0, 3]) + 2 * np.exp(scores[0, 1]) + 3 * np.exp(scores[0, 2])) - scores[0, 3]
    expected_second = np.log(np.exp(scores[1, 1]) + 3 * np.exp(scores[1, 2])) - scores[1, 1]
    np.testing.assert_allclose(losses(found, scores, negatives), [expected_first, expected_second], rtol=1e-5)


def test_label_smoothing_mixes_in_the_mean_over_the_negatives():
    found = targets([3], next_events=1)
    scores = np.arange(SIZE)[np.newaxis] / 10
    log_sum = np.log(np.exp(scores[0]).sum())
    others = [0, 1, 2, 4, 5]
    expected = 0.9 * (log_sum - scores[0, 3]) + 0.1 * (log_sum - scores[0, others].mean())
    assert losses(found, scores, label_smoothing=0.1)[0] == pytest.approx(expected, rel=1e-4)


def test_a_place_whose_only_target_was_seen_has_no_loss():
    found = targets([3, 3], next_events=1)
    assert losses(found, np.ones([2, SIZE]))[1] == 0


def test_label_smoothing_weighs_sampled_negatives_and_leaves_out_blocked_ones():
    found = targets([3, 1], next_events=1)
    negatives = tf.constant([2, 3, 4], tf.int64), tf.math.log([2.0, 7.0, 5.0])
    scores = np.arange(2 * SIZE).reshape(2, SIZE) / 10
    log_sum = np.log(np.exp(scores[1, 1]) + 2 * np.exp(scores[1, 2]) + 5 * np.exp(scores[1, 4]))
    mean = (2 * scores[1, 2] + 5 * scores[1, 4]) / 7
    expected = 0.9 * (log_sum - scores[1, 1]) + 0.1 * (log_sum - mean)
    assert losses(found, scores, negatives, label_smoothing=0.1)[1] == pytest.approx(expected, rel=1e-4)


def test_label_smoothing_where_every_negative_is_blocked():
    found = targets([3], next_events=1)
    negatives = tf.constant([3], tf.int64), tf.zeros([1])
    assert losses(found, np.ones([1, SIZE]), negatives, label_smoothing=0.1) == pytest.approx(0.1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_trend_is_a_part_of_the_scores_of_targets_and_negatives(smoothing):
    found = targets([3, 1], next_events=1)
    rng = np.random.default_rng(1)
    scores, weights, features = rng.normal(size=[2, SIZE]), rng.normal(size=[2, 1]), rng.normal(size=[2, 1, SIZE])
    added = (weights[:, :, np.newaxis] * features).sum(axis=1)
    own = OwnFeatures(
        weights=tf.constant(weights, tf.float32),
        moments=Moments(tf.constant(features[::-1], tf.float32), tf.constant([1, 0], tf.int64)),
    )
    trend = PastScores(tf.constant(np.take_along_axis(added, np.array([[3], [1]]), axis=1), tf.float32), own)
    expected = losses(found, scores + added, label_smoothing=smoothing)
    np.testing.assert_allclose(losses(found, scores, trend=trend, label_smoothing=smoothing), expected, rtol=1e-5)
