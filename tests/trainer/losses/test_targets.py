import numpy as np
import tensorflow as tf

from config.tasks import RetrievalTask
from trainer.losses.targets import retrieval_targets

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
    assert found["index"].tolist() == [[0, 3], [0, 4]]
    assert found["item"].tolist() == [[2, 3], [3, SIZE]]


def test_events_that_are_no_positives_are_skipped_over():
    found = targets([0, 1, 2], positive=[1, 0, 1], next_events=2)
    assert found["item"].tolist() == [[0, 2], [2, SIZE]]


def test_unknown_items_are_no_targets():
    found = targets([0, SIZE, 2], next_events=2)
    assert found["index"].tolist() == [[0, 0], [0, 2]]
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


def test_the_window_lists_each_of_its_positives_once_and_the_history_too():
    found = targets([-1, 3, 3, 1, 4], positive=[1, 1, 1, 1, 0], next_events=1)
    assert found["event_item"].tolist() == [3, 3, 1]
    assert found["window_item"].tolist() == [[SIZE, 3, SIZE, 1, SIZE]] * 3
    assert found["blocked"].tolist() == [[3] + [SIZE] * 5, [SIZE, SIZE, 3, SIZE, SIZE, SIZE], [1, SIZE, 3] + [SIZE] * 3]
