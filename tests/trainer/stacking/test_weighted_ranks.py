import numpy as np
import pytest
import scipy.sparse as sp
import tensorflow as tf

from trainer.metrics.ranks import target_ranks
from trainer.stacking.neighbours import Neighbours, NeighbourTable
from trainer.stacking.weighted_ranks import weighted_ranks

ITEMS, ROWS, TOP = 60, 40, 20


@pytest.mark.parametrize("levels", [4, 1000])
def test_ranks_are_those_of_all_weighted_scores(levels):
    """With few levels many scores are equal."""
    rng = np.random.default_rng(levels)
    links = [sp.random(ITEMS, ITEMS, 0.05, "csr", np.float32, rng) for _ in range(2)]
    for own in links:
        own.data = rng.integers(1, levels, own.nnz).astype(np.float32)
    kinds = [Neighbours([NeighbourTable(own, 1.0, "table")], ITEMS) for own in links]
    scores = tf.constant(rng.integers(0, levels, [ROWS, ITEMS]), tf.float32)
    history, seen = (tf.constant(rng.integers(0, ITEMS + 1, [ROWS, 5])) for _ in range(2))
    target = tf.constant(rng.integers(0, ITEMS + 1, ROWS))
    grid = tf.constant([[0, 0], [1, 0], [0.5, 2], [0, 4]], tf.float32)
    found = weighted_ranks(scores, kinds, history, target, seen, grid, TOP).numpy()
    added = tf.stack([kind.scores(history) for kind in kinds])
    expected = np.stack([target_ranks(scores + tf.tensordot(w, added, 1), target, seen, True) for w in grid])
    is_exact = expected <= TOP
    assert 20 < is_exact.sum() < is_exact.size
    np.testing.assert_array_equal(found[is_exact], expected[is_exact])
    assert (found[~is_exact] > TOP).all()
