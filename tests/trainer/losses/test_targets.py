import itertools

import numpy as np
import pytest
import tensorflow as tf

from config.tasks import RetrievalTask
from tests.trainer.losses.windows import window
from trainer.losses.targets import event_targets, list_targets, pair_targets, retrieval_targets

SIZE = 6


def retrieval_window(items, positive=None, target=None):
    ones = [1] * len(items)
    mask = [i >= 0 for i in items]
    return {
        "mask": tf.constant([mask]),
        "item_id": tf.constant([[i if i >= 0 else SIZE for i in items]], tf.int64),
        "is_positive": tf.constant([positive or ones]) > 0,
        "is_target": tf.constant([target or ones]) > 0,
    }


def targets(items, positive=None, target=None, **task):
    found = retrieval_targets(retrieval_window(items, positive, target), RetrievalTask(kind="retrieval", **task), SIZE)
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


def test_an_event_stands_alone_where_it_is_a_labelled_target():
    rows = {"label": [5.0, None, 2.0, 1.0], "target": [False, True, True, True]}, {"label": [4.0], "item": [7]}
    found = event_targets(window("t", *rows), "t")
    assert found.index.numpy().tolist() == [[0, 2], [0, 3], [1, 3]]
    assert found.item.numpy().tolist() == [[2], [3], [7]]
    assert found.label.numpy().tolist() == [[2], [1], [4]]


def pairs(rows, within):
    """As (row, position of the query, later item, earlier item, later label, earlier label)."""
    found = pair_targets(window("t", *rows), "t", within)
    columns = (found.index, found.item, found.label)
    return {tuple(map(float, itertools.chain(*parts))) for parts in zip(*(c.numpy() for c in columns), strict=True)}


def test_pairs_are_scored_before_the_earlier_event():
    rows = [{"label": [5.0, 3.0, 3.0, 1.0]}, {"label": [1.0, 2.0], "item": [8, 9]}]
    assert pairs(rows, 1) == {(0, 0, 1, 0, 3, 5), (0, 2, 3, 2, 1, 3), (1, 2, 9, 8, 2, 1)}
    assert pairs(rows, 2) - pairs(rows, 1) == {(0, 0, 2, 0, 3, 5), (0, 1, 3, 1, 1, 3)}
    assert pairs(rows, 9) - pairs(rows, 2) == {(0, 0, 3, 0, 1, 5)}


def test_a_pair_belongs_to_the_target_that_comes_later():
    rows = [{"label": [5.0, 3.0, 1.0], "target": [False, False, True]}]
    assert pairs(rows, 9) == {(0, 0, 2, 0, 1, 5), (0, 1, 2, 1, 1, 3)}


def test_unlabelled_events_and_repeated_items_are_in_no_pair():
    assert pairs([{"label": [5.0, None, 1.0]}], 1) == set()
    assert pairs([{"label": [5.0, 1.0], "item": [3, 3]}], 1) == set()


def test_cutting_a_log_into_windows_neither_loses_nor_repeats_a_pair_near_enough():
    """Eight events: one window of all, or two that share three events of context."""
    label = [float(n) for n in np.random.default_rng(0).permutation(8)]
    whole = pairs([{"label": label}], 3)
    later = {"label": label[2:], "item": range(2, 8), "target": [False] * 3 + [True] * 3}
    cut = [pairs([{"label": label[:5]}], 3), {(r, p + 2, *rest) for r, p, *rest in pairs([later], 3)}]
    assert cut[0] | cut[1] == whole
    assert len(cut[0]) + len(cut[1]) == len(whole) == 18


def lists(rows, length, has_sessions=False):
    """As (row, position of the query, items, labels), the newest first."""
    found = list_targets(window("t", *rows), "t", length, has_sessions)
    parts = (found.index.numpy(), found.item.numpy(), found.label.numpy(), found.is_member.numpy())
    return [(*p.tolist(), i[m].tolist(), v[m].tolist()) for p, i, v, m in zip(*parts, strict=True)]


def test_every_event_ends_a_list_that_is_scored_before_its_first():
    assert lists([{"label": [5.0, 3.0, 4.0]}], 2) == [(0, 0, [1, 0], [3, 5]), (0, 1, [2, 1], [4, 3])]
    assert lists([{"label": [5.0, 3.0, 4.0]}], 5)[-1] == (0, 0, [2, 1, 0], [4, 3, 5])


def test_a_list_needs_two_labels_that_differ():
    assert lists([{"label": [5.0, 5.0, None]}], 3) == []
    assert lists([{"label": [None, 5.0, None, 4.0]}], 3) == [(0, 1, [3, 1], [4, 5])]
    assert lists([{"label": [5.0, None, None, 4.0]}], 3) == []


def test_positions_are_those_of_the_items_and_never_before_the_query():
    rows = window("t", {"label": [None, 5.0, None, 4.0, 1.0]}, {"label": [2.0, 1.0, 3.0]})
    for found in (event_targets(rows, "t"), pair_targets(rows, "t", 3), list_targets(rows, "t", 4, False)):
        items = rows["item_id"].numpy()[found.index.numpy()[:, :1], found.position.numpy()]
        member = found.is_member.numpy()
        np.testing.assert_array_equal(items[member], found.item.numpy()[member])
        assert (found.position.numpy() >= found.index.numpy()[:, 1:]).all()


def test_padding_is_in_no_list():
    assert lists([{"label": [1.0] * 3}, {"label": [2.0, 1.0]}], 3) == [(1, 1, [1, 0], [1, 2])]


def test_a_list_belongs_to_its_newest_event():
    assert lists([{"label": [1.0, 2.0, 3.0], "target": [False, False, True]}], 2) == [(0, 1, [2, 1], [3, 2])]


def test_a_session_is_one_list():
    row = {"label": [1.0, 0.0, 0.0, 1.0, 0.0], "session": [7, 7, 7, 8, 8]}
    assert lists([row], 9, has_sessions=True) == [(0, 0, [2, 1, 0], [0, 0, 1]), (0, 3, [4, 3], [0, 1])]
    assert lists([row], 2, has_sessions=True) == [(0, 3, [4, 3], [0, 1])]  # 0, 0 are left of the first


def test_an_event_without_a_session_or_a_label_is_in_no_list():
    row = {"label": [1.0, 0.0, 0.0, None], "session": [-1, -1, 7, 7]}
    assert lists([row], 9, has_sessions=True) == []
    row = {"label": [1.0, None, 0.0, None], "session": [7, 7, 7, 7]}
    assert lists([row], 9, has_sessions=True) == [(0, 0, [2, 0], [0, 1])]


def test_sessions_of_two_users_are_two_sessions():
    rows = [{"label": [1.0, 0.0], "session": [7, 7]}, {"label": [0.0, 1.0], "session": [7, 7]}]
    assert [row for row, *_ in lists(rows, 9, has_sessions=True)] == [0, 1]


@pytest.mark.parametrize("make", [lambda w: pair_targets(w, "t", 3), lambda w: list_targets(w, "t", 3, True)])
def test_no_event_is_no_comparison(make):
    assert make(window("t", {"label": []})).weight.shape == (0,)
