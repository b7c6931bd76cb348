import numpy as np
import scipy.sparse as sp

from trainer.stacking import item_pairs
from trainer.stacking.item_correlation import correlation_links


def sparse(rows):
    """What is nan was not labelled; a label at its level, 0, was."""
    values = np.array(rows, np.float32)
    position = np.nonzero(~np.isnan(values))
    return sp.csr_matrix((values[position], position), shape=values.shape)


def test_shrunk_correlations_by_hand():
    nan = np.nan
    residuals = sparse([[1, 2, -1], [-1, -1, nan], [2, nan, 1]])
    found = correlation_links(residuals, 2).toarray()
    # Items 0 and 1 share two users: (1 * 2 + 1 * 1) / sqrt((1 + 1) * (4 + 1)). Items 0 and 2: -1 + 2 over sqrt(5 * 2).
    expected = np.zeros((3, 3))
    expected[0, 1] = expected[1, 0] = 3 / np.sqrt(10) * 2 / 52
    expected[0, 2] = expected[2, 0] = 1 / np.sqrt(10) * 2 / 52
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_label_at_its_level_counts_as_a_label():
    found = correlation_links(sparse([[1, 1], [0, 1], [1, 0]]), 2).toarray()
    np.testing.assert_allclose(found[0, 1], 1 / np.sqrt(2 * 2) * 3 / 53, rtol=1e-5)


def test_of_more_the_greatest_are_kept_and_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    values = np.where(rng.random((50, 12)) < 0.5, rng.normal(size=(50, 12)), np.nan)
    whole = correlation_links(sparse(values), 3).toarray()
    assert ((whole > 0).sum(axis=0) <= 3).all()
    every = correlation_links(sparse(values), 12).toarray()
    for column in range(12):
        np.testing.assert_allclose(np.sort(whole[:, column])[-3:], np.sort(every[:, column])[-3:])
    monkeypatch.setattr(item_pairs, "_BLOCK_PAIRS", 12 * 5)
    np.testing.assert_allclose(correlation_links(sparse(values), 3).toarray(), whole)


def test_without_a_pair_that_agrees_nothing_is_linked(monkeypatch):
    nan = np.nan
    monkeypatch.setattr(item_pairs, "_BLOCK_PAIRS", 4 * 2)  # two items at once: the second block has no pair of labels
    for rows in (
        [[0, 0, 0], [0, 0, 0]],  # labels all equal
        [[1, -1], [-1, 1]],  # labels that disagree
        [[1.0], [2.0]],  # one item
        [[1, nan, nan, nan], [nan, 1, nan, nan], [nan, nan, -2, nan]],  # one label a user
    ):
        found = correlation_links(sparse(rows), 2)
        assert (found.shape, found.nnz) == ((len(rows[0]),) * 2, 0)
    found = correlation_links(sparse([[1, 2, nan, nan], [2, 1, nan, nan], [nan, nan, 1, nan]]), 2)
    np.testing.assert_array_equal(np.argwhere(found.toarray()), [[0, 1], [1, 0]])
