"""Ratings from the baseline of users and items alone."""

from dataclasses import dataclass

import numpy as np

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
