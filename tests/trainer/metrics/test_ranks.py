import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trainer.metrics.ranks import ColdRanks, FixedOrder, mask_items, target_ranks, top_items

NAN = float("nan")
FREQUENCIES = tf.Variable([5.0, 0, 2, 0, 0])


def ranks(scores, target, seen, mask_seen=True):
    seen = tf.constant(seen, tf.int64, shape=(len(target), len(seen[0])))
    return (
        target_ranks(tf.constant(scores, tf.float32), tf.constant(target, tf.int64), seen, mask_seen).numpy().tolist()
    )


def test_the_rank_counts_the_items_ahead():
    assert ranks([[0.1, 0.9, 0.5, 0.7]] * 4, [0, 1, 2, 3], [[]] * 4) == [4, 1, 3, 2]


def test_of_equal_scores_the_smaller_index_is_ahead():
    assert ranks([[1, 2, 1, 1]] * 4, [0, 1, 2, 3], [[]] * 4) == [2, 1, 3, 4]


def test_seen_items_do_not_count_and_repeat_without_effect():
    assert ranks([[4, 3, 2, 1]], [3], [[0, 0, 2, 4]]) == [2]
    assert ranks([[4, 3, 2, 1]], [3], [[0, 0, 2, 4]], mask_seen=False) == [4]


def test_seen_items_behind_the_target_change_nothing():
    assert ranks([[4, 3, 2, 1]], [1], [[2, 3, 3, -1]]) == [2]


def test_a_seen_target_is_in_no_list():
    assert ranks([[4, 3, 2, 1]], [0], [[0, 1]]) == [np.inf]
    assert ranks([[4, 3, 2, 1]], [0], [[0, 1]], mask_seen=False) == [1]


def test_an_unknown_target_is_in_no_list():
    assert ranks([[4, 3, 2, 1]] * 2, [4, -1], [[4, 4]] * 2) == [np.inf, np.inf]


def test_a_score_that_is_not_a_number_is_never_a_success():
    assert ranks([[NAN, 3, 2], [5, NAN, 2], [NAN, NAN, NAN]], [0, 0, 2], [[]] * 3) == [3, 2, 3]


@pytest.mark.parametrize("k", [1, 3, 6])
def test_top_items_are_in_order_and_padded(k):
    top = top_items(tf.constant([[1.0, 5.0, 5.0, 9.0]]), k, tf.constant([[3, 4]], tf.int64), mask_seen=True)
    assert top.numpy().tolist() == [[1, 2, 0, -1, -1, -1][:k]]


def test_top_items_keep_seen_items_unless_masked():
    top = top_items(tf.constant([[1.0, 5.0, 9.0]]), 2, tf.constant([[2]], tf.int64), mask_seen=False)
    assert top.numpy().tolist() == [[2, 1]]


def test_masked_items_leave_the_others_alone():
    masked = mask_items(tf.constant([[1.0, 2.0], [3.0, 4.0]]), tf.constant([[1, 2], [-1, 2]], tf.int64))
    assert masked.numpy().tolist() == [[1.0, -np.inf], [3.0, 4.0]]


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_ranks_and_top_items_agree_with_a_sort(data):
    rows, size = 3, data.draw(st.integers(1, 8))
    scores = data.draw(hnp.arrays(np.float32, (rows, size), elements=st.sampled_from([-1.0, 0.0, 0.5, 2.0])))
    target = data.draw(hnp.arrays(np.int64, rows, elements=st.integers(0, size)))
    seen = data.draw(hnp.arrays(np.int64, (rows, 3), elements=st.integers(0, size)))
    orders = [
        [i for i in np.argsort(-s, kind="stable") if i not in set(past)] for s, past in zip(scores, seen, strict=True)
    ]
    expected = [o.index(t) + 1 if t in o else np.inf for o, t in zip(orders, target, strict=True)]
    assert ranks(scores, target, seen) == expected
    top = top_items(tf.constant(scores), size, tf.constant(seen), mask_seen=True).numpy().tolist()
    assert top == [o + [-1] * (size - len(o)) for o in orders]


def test_only_known_items_without_a_train_event_are_cold():
    cold = ColdRanks(FREQUENCIES, mask_seen=True)
    assert cold.is_cold(tf.constant([0, 1, 2, 4, 5], tf.int64)).numpy().tolist() == [0, 1, 0, 1, 0]


def test_cold_items_are_ranked_without_the_others():
    scores = tf.constant([[9.0, 1, 8, 3, 2]] * 3)
    target = tf.constant([1, 4, 3], tf.int64)
    seen = tf.constant([[5], [3], [5]], tf.int64)
    np.testing.assert_array_equal(ColdRanks(FREQUENCIES, True).ranks(scores, target, seen), [3, 1, 1])
    np.testing.assert_array_equal(ColdRanks(FREQUENCIES, False).ranks(scores, target, seen), [3, 2, 1])


def test_ranks_are_counted_without_an_array_of_64_bit_numbers_as_large_as_the_scores():
    scores = tf.TensorSpec([3, 1000])
    vector, seen = tf.TensorSpec([3], tf.int64), tf.TensorSpec([3, 2], tf.int64)
    graph = tf.function(lambda *values: target_ranks(*values, True)).get_concrete_function(scores, vector, seen).graph
    large = [output for node in graph.get_operations() for output in node.outputs if output.shape == [3, 1000]]
    assert large
    assert not [output for output in large if output.dtype == tf.int64]


@pytest.mark.parametrize("mask_seen", [True, False])
def test_the_order_of_fixed_scores_ranks_as_the_scores_do(mask_seen):
    rng = np.random.default_rng(0)
    scores = tf.constant(rng.integers(0, 9, 40), tf.float32)
    target, seen = tf.constant(rng.integers(0, 42, 60)), tf.constant(rng.integers(-1, 42, [60, 25]))
    order, tiled = FixedOrder.of(scores), tf.tile(scores[tf.newaxis], [60, 1])
    expected = target_ranks(tiled, target, seen, mask_seen)
    np.testing.assert_array_equal(order.target_ranks(target, seen, mask_seen), expected)
    for k in (1, 10, 39, 50, tf.constant(10)):
        np.testing.assert_array_equal(order.top_items(k, seen, mask_seen), top_items(tiled, k, seen, mask_seen))
