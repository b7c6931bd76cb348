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
        nearest = sp.vstack([self._block(users, norm, start) for start in starts], format="csr")
        self._similarity = nearest.T.tocsr()

    def _block(self, users: sp.csr_matrix, norm: np.ndarray, start: int) -> sp.csr_matrix:
        """The similarities of some items to all, only the greatest in each row."""
        rows = np.arange(start, min(start + BLOCK, len(norm)))
        similarity = (users[:, rows].T @ users).toarray()
        similarity /= norm[rows, None] * norm + self.shrinkage + np.float32(1e-9)
        similarity[rows - start, rows] = 0
        if self.neighbours < len(norm):
            least = np.partition(similarity, -self.neighbours, axis=1)[:, -self.neighbours]
            similarity[similarity < least[:, None]] = 0
        return sp.csr_matrix(similarity)

    def score(self, queries: Queries) -> np.ndarray:
        """The summed similarity to the history: float32 [B, V]."""
        return (queries.matrix() @ self._similarity).toarray()
