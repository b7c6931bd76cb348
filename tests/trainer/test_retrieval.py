import numpy as np
import pytest
import tensorflow as tf

from pipeline.config.tasks import RetrievalTask
from trainer.negatives import Negatives, all_items
from trainer.retrieval import RetrievalTargets, retrieval_losses, retrieval_targets

SIZE = 6


def window(items, positive=None, target=None):
    ones = [1] * len(items)
    mask = [i >= 0 for i in items]
    return {
        "mask": tf.constant([mask]),
        "item_id": tf.constant([[i if i >= 0 else SIZE for i in items]], tf.int64),
        "is_positive": tf.constant([positive or ones]) > 0,
        "is_target": tf.constant([target or ones]) > 0,
    }


def targets(items, positive=None, target=None, **task):
    found = retrieval_targets(window(items, positive, target), RetrievalTask(kind="retrieval", **task), SIZE)
    return {name: values.numpy() for name, values in found._asdict().items()}


def blocked_sets(found):
    return [sorted(set(row.tolist()) - {SIZE}) for row in found["blocked"]]


def test_the_target_is_spread_over_the_next_events_by_one_over_the_gap():
    found = targets([0, 1, 2], next_events=3)
    assert found["item"].tolist() == [[0, 1, 2], [1, 2, SIZE], [2, SIZE, SIZE]]
    np.testing.assert_allclose(found["weight"], [[6 / 11, 3 / 11, 2 / 11], [2 / 3, 1 / 3, 0], [1, 0, 0]], rtol=1e-6)


def test_only_positive_targets_have_a_place():
    found = targets([-1, 0, 1, 2, 3], positive=[1, 1, 0, 1, 1], target=[1, 0, 1, 1, 1], next_events=2)
    assert found["place"].tolist() == [[0, 3], [0, 4]]
    assert found["item"].tolist() == [[2, 3], [3, SIZE]]


def test_events_that_are_no_positives_are_skipped_over():
    found = targets([0, 1, 2], positive=[1, 0, 1], next_events=2)
    assert found["item"].tolist() == [[0, 2], [2, SIZE]]


def test_unknown_items_are_no_targets():
    found = targets([0, SIZE, 2], next_events=2)
    assert found["place"].tolist() == [[0, 0], [0, 2]]
    assert found["item"].tolist() == [[0, SIZE], [2, SIZE]]
    np.testing.assert_allclose(found["weight"], [[1, 0], [1, 0]])


def test_history_and_targets_are_blocked():
    assert blocked_sets(targets([3, 1, 4], next_events=1)) == [[3], [1, 3], [1, 3, 4]]
    assert blocked_sets(targets([3, 1, 4], next_events=1, mask_history=False)) == [[3], [1], [4]]


def test_an_item_of_the_history_is_no_target_again():
    found = targets([3, 3, 1], next_events=2)
    assert found["item"].tolist() == [[3, SIZE], [SIZE, 1], [1, SIZE]]
    np.testing.assert_allclose(found["weight"], [[1, 0], [0, 1], [1, 0]])


def test_a_repeated_item_is_one_target_where_users_come_back():
    found = targets([3, 3, 1], next_events=3, mask_history=False)
    assert found["item"].tolist() == [[3, SIZE, 1], [3, 1, SIZE], [1, SIZE, SIZE]]
    np.testing.assert_allclose(found["weight"][0], [3 / 4, 0, 1 / 4])


def losses(found, scores, negatives=None, **task):
    """Embeddings whose products are the scores of each row."""
    query = tf.constant(scores, tf.float32)
    table = tf.eye(SIZE + 1)[:, :SIZE]
    negatives = negatives or all_items(SIZE)
    return retrieval_losses(
        query=query,
        target_embeddings=tf.gather(table, found["item"]),
        negative_embeddings=tf.gather(table, negatives.item),
        targets=RetrievalTargets(**found),
        negatives=negatives,
        task=RetrievalTask(kind="retrieval", **task),
        size=SIZE,
    ).numpy()


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
    negatives = Negatives(tf.constant([1, 2, 3], tf.int64), tf.math.log([2.0, 3.0, 5.0]))
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
