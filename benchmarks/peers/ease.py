"""Embarrassingly shallow autoencoders."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from benchmarks.peers.exam import Queries, Training


@dataclass
class EASE:
    """Steck 2019, "Embarrassingly shallow autoencoders for sparse data": a closed-form item-to-item regression.

    Args:
      l2: The regularisation.
      max_items: Only the most popular items take part: time grows with their cube, memory with their square.
    """

    l2: float = 500.0
    max_items: int = 15_000

    def fit(self, training: Training) -> None:
        """Inverts the regularised Gram matrix."""
        self._items = min(training.items, self.max_items)
        users = training.matrix()[:, : self._items]
        gram = (users.T @ users).toarray()
        gram[np.diag_indices_from(gram)] += self.l2
        factor = cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
        inverse = cho_solve(factor, np.eye(len(gram), dtype=np.float32), overwrite_b=True, check_finite=False)
        self._weights = inverse / -np.diag(inverse)
        self._weights[np.diag_indices_from(gram)] = 0

    def score(self, queries: Queries) -> np.ndarray:
        """The regression on the history: float32 [B, V], 0 for items that do not take part."""
        scores = np.zeros((len(queries), queries.items), np.float32)
        scores[:, : self._items] = queries.matrix()[:, : self._items] @ self._weights
        return scores
