import numpy as np
import pytest
import scipy.sparse as sp
import tensorflow as tf

from trainer.neighbours.scores import Neighbours, NeighbourTable

LINKS = np.array([[0, 0.5, 0.25, 0], [0, 0, 2, 0], [0, 0, 0, 0], [1, 0, 0, 0]], np.float32)
NONE = 4


def table(decay=1.0, name="cosine"):
    return NeighbourTable(sp.csr_matrix(LINKS), decay, name=name)


def test_a_history_adds_its_items_links():
    found = table().scores(tf.constant([[0, 1], [2, 3], [NONE, 1]], tf.int64))
    np.testing.assert_allclose(found, [[0, 0.5, 2.25, 0], [1, 0, 0, 0], [0, 0, 2, 0]])


def test_older_events_count_less_and_padding_has_no_age():
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
    found = NeighbourTable(links, 0.7, name="t").scores(tf.constant(history))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_kinds_are_weighed():
    both = Neighbours([table(), table(decay=0.5, name="transitions")], [2.0, 4.0])
    history = tf.constant([[0, 1]], tf.int64)
    np.testing.assert_allclose(both.scores(history), [[0, 2 * 0.5 + 4 * 0.25, 2 * 2.25 + 4 * 2.125, 0]])
