import numpy as np
import pytest
import scipy.sparse as sp
import tensorflow as tf

from trainer.stacking.neighbours import Neighbours, NeighbourTable, sums_of

LINKS = np.array([[0, 0.5, 0.25, 0], [0, 0, 2, 0], [0, 0, 0, 0], [1, 0, 0, 0]], np.float32)
NONE = 4


def kind(decay=1.0):
    return NeighbourTable(sp.csr_matrix(LINKS), decay, name="kind")


def table(decay=1.0):
    """One kind alone."""
    return Neighbours([kind(decay)], NONE)


def test_a_history_adds_its_items_links():
    found = table().scores(tf.constant([[0, 1], [2, 3], [NONE, 1]], tf.int64))
    np.testing.assert_allclose(found, [[0, 0.5, 2.25, 0], [1, 0, 0, 0], [0, 0, 2, 0]])


def test_older_events_count_less_and_padding_is_not_counted():
    history = tf.constant([[0, NONE, 1, NONE]], tf.int64)
    np.testing.assert_allclose(table(decay=0.5).scores(history), [[0, 0.25, 2.125, 0]])


@pytest.mark.parametrize("history", [[[NONE, NONE]], [[]]])
def test_an_empty_history_adds_nothing(history):
    np.testing.assert_array_equal(table().scores(tf.constant(history, tf.int64)), np.zeros([1, 4]))


def test_no_rows_no_scores():
    assert table().scores(tf.zeros([0, 3], tf.int64)).shape == [0, 4]


def test_any_history_equals_the_matrix_product():
    rng = np.random.default_rng(3)
    links = sp.random(30, 30, 0.2, "csr", np.float32, rng)
    history = rng.integers(0, 31, [20, 9])
    weights = 0.7 ** np.cumsum(np.pad(history[:, :0:-1] < 30, [(0, 0), (1, 0)]), axis=1)[:, ::-1]
    expected = np.zeros([20, 30])
    for row, items in enumerate(history):
        for item, weight in zip(items, weights[row], strict=True):
            if item < 30:
                expected[row] += weight * links[item].toarray()[0]
    found = Neighbours([NeighbourTable(links, 0.7, name="t")], 30).scores(tf.constant(history))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_kinds_are_added_up():
    both = Neighbours([kind(), kind(decay=0.5)], NONE)
    history = tf.constant([[0, 1]], tf.int64)
    np.testing.assert_allclose(both.scores(history), [[0, 0.5 + 0.25, 2.25 + 2.125, 0]])


def test_the_nearest_items_scores_are_those_of_all_items():
    rng = np.random.default_rng(5)
    links = sp.random(30, 30, 0.1, "csr", np.float32, rng)
    neighbours = Neighbours([NeighbourTable(links, 0.7, name="t"), NeighbourTable(links.T.tocsr(), 1.0, name="u")], 30)
    history = tf.constant(rng.integers(0, 31, [20, 4]))
    scores, nearest = neighbours.scores(history).numpy(), neighbours.nearest(history)
    items = np.tile(np.arange(31), [20, 1])
    expected = np.pad(scores, [(0, 0), (0, 1)])
    np.testing.assert_allclose(nearest.of(tf.constant(items)), expected, rtol=1e-6)
    np.testing.assert_allclose(neighbours.scores_of(history, tf.constant(items)), expected, rtol=1e-6)


@pytest.mark.parametrize("dense", [0, 4])
def test_sums_are_the_same_by_either_method(monkeypatch, dense):
    monkeypatch.setattr("trainer.stacking.neighbours._DENSE", dense)
    cell, value = tf.constant([6, 1, 6, 3], tf.int64), tf.constant([[1.0, 10], [2, 20], [4, 40], [8, 80]])
    found = sums_of(tf.constant([[1, 4, 0], [2, 2, 3]], tf.int64), cell, value, 4)
    np.testing.assert_array_equal(found, [[[2, 20], [0, 0], [0, 0]], [[5, 50], [5, 50], [0, 0]]])


def test_the_nearest_items_are_found_without_the_excluded():
    nearest = table().nearest(tf.constant([[0, 1], [2, NONE], [3, 0]], tf.int64))
    exclude = tf.constant([[-1, NONE], [0, 1], [2, 2]], tf.int64)
    assert nearest.top(tf.constant(3), exclude).numpy().tolist() == [[2, 1, -1], [-1, -1, -1], [0, 1, -1]]
    assert nearest.top(tf.constant(1), exclude[:, :0]).numpy().tolist() == [[2], [-1], [0]]
