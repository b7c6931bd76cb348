import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.export.index.exact import ExactIndex


def search(embeddings, query, k, exclude):
    exclude = tf.constant(exclude, tf.int64, shape=(len(query), len(exclude[0])))
    unknown = np.full((1, len(embeddings[0])), 1e6)
    index = ExactIndex(np.concatenate([embeddings, unknown]))
    scores, items = index.search(tf.constant(query, tf.float32), k, exclude)
    return scores.numpy().tolist(), items.numpy().tolist()


def test_the_best_items_come_first():
    scores, items = search([[1, 0], [0, 1], [1, 1]], [[2, 1], [0, -1]], 2, [[], []])
    assert items == [[2, 0], [0, 1]]
    assert scores == [[3, 2], [0, -1]]


def test_excluded_items_do_not_come_back_and_padding_excludes_nothing():
    assert search([[3], [2], [1]], [[1], [1]], 2, [[0, 3], [-1, 3]])[1] == [[1, 2], [0, 1]]


def test_a_row_without_enough_items_is_filled_up():
    scores, items = search([[3], [2]], [[1], [1]], 9, [[0, 1], [0, 5]])
    assert items == [[-1, -1], [1, -1]]
    assert scores == [[-np.inf, -np.inf], [2, -np.inf]]


def test_filling_items_never_beat_negative_scores():
    assert search([[-3], [-2]], [[1]], 2, [[]]) == ([[-2, -3]], [[1, 0]])


def test_a_query_that_is_not_a_number_finds_nothing():
    assert search([[3], [2]], [[np.nan]], 2, [[]])[1] == [[-1, -1]]


@pytest.mark.parametrize("shape", [(0, 4), (1, 4), (4,)])
def test_an_empty_table_is_refused(shape):
    with pytest.raises(ValueError, match=r"should have the shape \[V \+ 1, D\] with V > 0"):
        ExactIndex(np.zeros(shape))


def test_embeddings_are_the_rows_of_the_table():
    embeddings = np.arange(12.0).reshape(4, 3)
    assert (
        ExactIndex(embeddings).embeddings(tf.constant([[3, 0]])).numpy().tolist() == embeddings[[3, 0]][None].tolist()
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.integers(1, 350), st.integers(0, 2**32 - 1))
def test_the_search_equals_a_stable_sort(size, k, seed):
    generator = np.random.default_rng(seed)
    embeddings = generator.integers(-2, 3, (size, 2))
    query = generator.integers(-2, 3, (3, 2))
    exclude = generator.integers(0, size, (3, 5))
    _, items = search(embeddings, query, k, exclude)
    for row in range(3):
        order = np.argsort(-(embeddings @ query[row]), kind="stable")
        expected = [i for i in order.tolist() if i not in exclude[row]][:k]
        assert items[row] == expected + [-1] * (min(k, size) - len(expected))
