"""Peers that predict ratings, in NumPy and SciPy: biases, and matrix factorisation with biases."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

from benchmarks.peers.rating import Ratings


@dataclass
class BiasModel:
    """Koren 2010, "Factor in the neighbors", section 2.1: mean + user bias + item bias, shrunk least squares.

    Args:
      user_damping, item_damping: So many ratings at the mean are added to each user's and item's own.
      rounds: The number of alternations.
    """

    user_damping: float = 5.0
    item_damping: float = 2.0
    rounds: int = 10

    def fit(self, training: Ratings) -> None:
        """Alternates between users and items."""
        self._mean = float(training.label.mean())
        residual = training.label.astype(np.float64) - self._mean
        users, items = training.user_features.shape[0], training.item_features.shape[0]
        self._user, self._item = np.zeros(users), np.zeros(items)
        for _ in range(self.rounds):
            self._item = _shrunk(training.item, residual - self._user[training.user], items, self.item_damping)
            self._user = _shrunk(training.user, residual - self._item[training.item], users, self.user_damping)

    def predict(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """The sum: float64 [N]."""
        return self._mean + self._user[user] + self._item[item]


def _shrunk(group: np.ndarray, value: np.ndarray, size: int, damping: float) -> np.ndarray:
    total, count = np.bincount(group, value, size), np.bincount(group, minlength=size)
    return total / np.maximum(count + damping, 1e-9)


@dataclass
class SVD:
    """Koren, Bell and Volinsky 2009, "Matrix factorization techniques for recommender systems", by alternating least
    squares: mean + biases + product of vectors, the penalty growing with the number of ratings (Zhou et al. 2008).

    Args:
      factors: The vectors' length.
      l2: The penalty of vectors per rating.
      bias_l2: The penalty of biases.
      rounds: The number of alternations.
    """

    factors: int = 20
    l2: float = 0.1
    bias_l2: float = 3.0
    rounds: int = 20

    def fit(self, training: Ratings) -> None:
        """Alternates between users and items; each side is solved at once."""
        self._mean = float(training.label.mean())
        rated = training.matrix()
        users, items = rated.shape
        residual = training.label.astype(np.float64) - self._mean
        by_user = sp.csr_matrix((residual, (training.user, training.item)), shape=rated.shape)
        self._user = np.zeros((users, self.factors + 1))
        self._item = np.random.RandomState(0).normal(0, 0.1, (items, self.factors + 1))
        self._item[:, -1] = 0
        for _ in range(self.rounds):
            self._user = self._solve(rated, by_user, self._item)
            self._item = self._solve(rated.T.tocsr(), by_user.T.tocsr(), self._user)

    def _solve(self, rated: sp.csr_matrix, residual: sp.csr_matrix, other: np.ndarray) -> np.ndarray:
        """One side's vectors and, last, biases, given the other side's: float64 [rows, factors + 1]."""
        width = self.factors + 1
        design = np.concatenate([other[:, :-1], np.ones((len(other), 1))], axis=1)
        products = (design[:, :, None] * design[:, None, :]).reshape(-1, width * width)
        gram = (rated @ products).reshape(-1, width, width)
        count = np.asarray(rated.sum(axis=1)).ravel()
        ridge = np.repeat(self.l2 * np.maximum(count, 1)[:, None], width, axis=1)
        ridge[:, -1] = self.bias_l2
        gram[:, np.arange(width), np.arange(width)] += ridge
        right = residual @ design - rated @ (other[:, -1:] * design)
        with threadpool_limits(1, "blas"):  # many small systems: threads only wait for each other
            return np.linalg.solve(gram, right[..., None])[..., 0]

    def predict(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Mean, biases and product: float64 [N]."""
        product = np.einsum("nd,nd->n", self._user[user, :-1], self._item[item, :-1])
        return self._mean + self._user[user, -1] + self._item[item, -1] + product
