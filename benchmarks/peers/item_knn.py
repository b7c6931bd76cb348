"""Item-based collaborative filtering by nearest neighbours."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse as sp

from benchmarks.peers.exam import Queries, Training

BLOCK: Final = 1024


@dataclass
class ItemKNN:
    """Deshpande and Karypis 2004, "Item-based top-N recommendation algorithms": shrunk cosine similarity, summed.

    Args:
      neighbours: How many similar items each item keeps.
      shrinkage: Added to the cosine's denominator: similarities on few users count less.
    """

    neighbours: int = 100
    shrinkage: float = 10.0

    def fit(self, training: Training) -> None:
        """Finds every item's neighbours, a block of items at a time."""
        users = training.matrix()
        norm = np.sqrt(np.asarray(users.sum(axis=0), np.float32).ravel())
        starts = range(0, training.items, BLOCK)
        self._similarity = sp.hstack([self._block(users, norm, start) for start in starts], format="csr")

    def _block(self, users: sp.csr_matrix, norm: np.ndarray, start: int) -> sp.csc_matrix:
        columns = np.arange(start, min(start + BLOCK, len(norm)))
        similarity = (users.T @ users[:, columns]).toarray()
        similarity /= norm[:, None] * norm[columns] + self.shrinkage + np.float32(1e-9)
        similarity[columns, columns - start] = 0
        if self.neighbours < len(norm):
            weakest = np.argpartition(similarity, -self.neighbours, axis=0)[: -self.neighbours]
            np.put_along_axis(similarity, weakest, 0, axis=0)
        return sp.csc_matrix(similarity)

    def score(self, queries: Queries) -> np.ndarray:
        """The summed similarity to the history: float32 [B, V]."""
        return (queries.matrix() @ self._similarity).toarray()
