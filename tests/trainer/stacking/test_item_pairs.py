import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trainer.stacking import item_pairs
from trainer.stacking.item_pairs import (
    correlation_links,
    cosine_links,
    regression_links,
    top_of_rows,
    transition_links,
)


def test_cosines_by_hand():
    """Item 0 has the users 0, 1, 2, item 1 the users 0, 1, item 2 the user 2."""
    users = sp.csr_matrix(np.array([[1, 1, 0], [1, 1, 0], [1, 0, 1]], np.float32))
    expected = np.array([[0, 2 / 6**0.5, 1 / 3**0.5], [2 / 6**0.5, 0, 0], [1 / 3**0.5, 0, 0]])
    np.testing.assert_allclose(cosine_links(users, 2).toarray(), expected, rtol=1e-6)


def test_an_item_of_the_history_counts_if_it_is_among_the_nearest_of_the_other():
    users = sp.csr_matrix(np.array([[1, 1, 0], [1, 1, 0], [1, 0, 1]], np.float32))
    found = cosine_links(users, 1).toarray()
    # Item 1 is the nearest of item 0; item 0 the nearest of both others. By row: what the history's item adds.
    np.testing.assert_array_equal(found > 0, [[0, 1, 1], [1, 0, 0], [0, 0, 0]])


def test_blocks_do_not_change_cosines(monkeypatch):
    users = sp.random(40, 17, 0.3, "csr", np.float32, np.random.default_rng(1))
    users.data[:] = 1
    whole = cosine_links(users, 4).toarray()
    monkeypatch.setattr(item_pairs, "_BLOCK_PAIRS", 17 * 5)
    np.testing.assert_array_equal(cosine_links(users, 4).toarray(), whole)


def test_a_sparse_log_of_many_items_has_few_blocks(monkeypatch):
    """Each block takes time in proportion to the number of items, so blocks of few rows would take quadratic time."""
    users = sp.random(50, 1 << 18, 1e-5, "csr", np.float32, np.random.default_rng(1))
    blocks = []
    keep = item_pairs.top_of_rows
    monkeypatch.setattr(item_pairs, "top_of_rows", lambda *block: blocks.append(block) or keep(*block))
    assert cosine_links(users, 4).nnz > 0
    assert len(blocks) == 1


def drawn_users(users=30, items=6):
    return (np.random.default_rng(0).random((users, items)) < 0.4).astype(np.float32)


def test_coefficients_are_those_of_each_item_on_all_others():
    users, l2 = drawn_users(), 2.0
    found = regression_links(sp.csr_matrix(users), 5, 6, l2).toarray()
    for item in range(6):
        others = np.delete(np.arange(6), item)
        x, y = users[:, others], users[:, item]
        expected = np.linalg.solve(x.T @ x + l2 * np.eye(5), x.T @ y)
        np.testing.assert_allclose(found[others, item], expected, rtol=1e-4)
        assert found[item, item] == 0


def test_the_greatest_coefficients_of_each_item_are_kept_whatever_their_sign():
    users = sp.csr_matrix(drawn_users())
    whole, found = (regression_links(users, count, 6, 2.0).toarray() for count in (5, 2))
    for item in range(6):
        kept = np.argsort(-np.abs(whole[:, item]))[:2]
        assert set(np.nonzero(found[:, item])[0]) == set(kept)
        np.testing.assert_allclose(found[kept, item], whole[kept, item])


def test_only_the_most_frequent_items_are_regressed():
    users = drawn_users()
    users[:, [1, 4]] = 0
    users[:3, [1, 4]] = 1
    found = regression_links(sp.csr_matrix(users), 5, 4, 2.0).toarray()
    assert not found[[1, 4]].any()
    assert not found[:, [1, 4]].any()
    others = [0, 2, 3, 5]
    alone = regression_links(sp.csr_matrix(users[:, others]), 5, 4, 2.0).toarray()
    np.testing.assert_allclose(found[np.ix_(others, others)], alone)


def test_transitions_by_hand():
    """What left item 0: three quarters to item 1, which two users have, a quarter to item 2, which one has."""
    transitions = sp.csr_matrix(np.array([[0, 3, 1], [0, 0, 0], [0, 0, 0]], np.float32))
    users = sp.csr_matrix(np.array([[1, 1, 0], [1, 1, 1]], np.float32))
    found = transition_links(transitions, users, 5, damping=0.5).toarray()
    np.testing.assert_allclose(found, [[0, 0.75 / 2**0.5, 0.25], [0, 0, 0], [0, 0, 0]], rtol=1e-6)


def test_without_an_item_or_an_event_there_is_no_link():
    none = sp.csr_matrix((0, 3), dtype=np.float32)
    assert cosine_links(none, 2).nnz == 0
    assert regression_links(none, 2, 3, 1.0).nnz == 0
    assert transition_links(sp.csr_matrix((3, 3), dtype=np.float32), none, 2, 0.3).nnz == 0


@settings(deadline=None)
@given(
    hnp.arrays(np.float32, (5, 7), elements=st.sampled_from([0, 1, 2, 3])),
    st.integers(1, 8),
)
def test_the_greatest_of_each_row_stay(values, count):
    found = top_of_rows(sp.csr_matrix(values), count).toarray()
    for row, kept in zip(values, found, strict=True):
        expected = sorted(row[row > 0], reverse=True)[:count]
        assert sorted(kept[kept > 0], reverse=True) == pytest.approx(expected)
        assert np.all((kept == 0) | (kept == row))


def sparse_labels(rows):
    """Stores all cells but nan, which have no label; a residual of 0 is a label."""
    values = np.array(rows, np.float32)
    position = np.nonzero(~np.isnan(values))
    return sp.csr_matrix((values[position], position), shape=values.shape)


def test_shrunk_correlations_by_hand():
    nan = np.nan
    residuals = sparse_labels([[1, 2, -1], [-1, -1, nan], [2, nan, 1]])
    found = correlation_links(residuals, 2).toarray()
    # Items 0 and 1 share two users: (1 * 2 + 1 * 1) / sqrt((1 + 1) * (4 + 1)). Items 0 and 2: -1 + 2 over sqrt(5 * 2).
    expected = np.zeros((3, 3))
    expected[0, 1] = expected[1, 0] = 3 / np.sqrt(10) * 2 / 52
    expected[0, 2] = expected[2, 0] = 1 / np.sqrt(10) * 2 / 52
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_residual_of_zero_is_a_label():
    found = correlation_links(sparse_labels([[1, 1], [0, 1], [1, 0]]), 2).toarray()
    np.testing.assert_allclose(found[0, 1], 1 / np.sqrt(2 * 2) * 3 / 53, rtol=1e-5)


def test_the_greatest_correlations_are_kept_and_blocks_do_not_change_them(monkeypatch):
    rng = np.random.default_rng(0)
    values = np.where(rng.random((50, 12)) < 0.5, rng.normal(size=(50, 12)), np.nan)
    whole = correlation_links(sparse_labels(values), 3).toarray()
    assert ((whole > 0).sum(axis=0) <= 3).all()
    every = correlation_links(sparse_labels(values), 12).toarray()
    for column in range(12):
        np.testing.assert_allclose(np.sort(whole[:, column])[-3:], np.sort(every[:, column])[-3:])
    monkeypatch.setattr(item_pairs, "_BLOCK_PAIRS", 12 * 5)
    np.testing.assert_allclose(correlation_links(sparse_labels(values), 3).toarray(), whole)


def test_without_a_positively_correlated_pair_there_is_no_link(monkeypatch):
    nan = np.nan
    monkeypatch.setattr(item_pairs, "_BLOCK_PAIRS", 4 * 2)  # two items at once: the second block has no pair of labels
    for rows in (
        [[0, 0, 0], [0, 0, 0]],  # labels all equal
        [[1, -1], [-1, 1]],  # negatively correlated labels
        [[1.0], [2.0]],  # one item
        [[1, nan, nan, nan], [nan, 1, nan, nan], [nan, nan, -2, nan]],  # one label a user
    ):
        found = correlation_links(sparse_labels(rows), 2)
        assert (found.shape, found.nnz) == ((len(rows[0]),) * 2, 0)
    found = correlation_links(sparse_labels([[1, 2, nan, nan], [2, 1, nan, nan], [nan, nan, 1, nan]]), 2)
    np.testing.assert_array_equal(np.argwhere(found.toarray()), [[0, 1], [1, 0]])
