"""How high the labels of a user and of an item lie."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.habits.labels import TrainLabels

_ROUNDS = 30


class Levels(NamedTuple):
    """The label to be expected is `mean + user[u] + item[i]`.

    Attributes:
        mean: of all labels.
        user: float64 [U + 1], 0 for users without labels and the unknown one.
        item: float64 [V + 1], so for items.
    """

    mean: float
    user: NDArray[np.float64]
    item: NDArray[np.float64]

    def of(self, user: NDArray[np.int64], item: NDArray[np.int64]) -> NDArray[np.float64]:
        """The expected labels [E]."""
        return self.mean + self.user[user] + self.item[item]


def fit_levels(labels: TrainLabels, users: int, items: int) -> Levels:
    """Shrunk least squares, users and items in turn (Koren 2010, section 2.1).

    How much is shrunk is found too: user and item levels are taken to be normal with variances of their own, and a
    level with n labels is shrunk by n / (n + noise / variance), as in a model of random effects fitted by expectation
    and maximisation.
    """
    mean = float(labels.label.mean())
    above = labels.label - mean
    user, item = _Side(labels.user, users), _Side(labels.item, items)
    for _ in range(_ROUNDS):
        item.fit(above - user.level[labels.user])
        user.fit(above - item.level[labels.item])
        noise = _noise(above - user.level[labels.user] - item.level[labels.item], user, item)
        user.damp(noise)
        item.damp(noise)
    return Levels(mean, np.append(user.level, 0.0), np.append(item.level, 0.0))


class _Side:
    """The levels of users, or of items: `damping` is the noise by the levels' variance."""

    def __init__(self, group: NDArray[np.int64], size: int) -> None:
        self._group = group
        self._count = np.bincount(group, minlength=size)
        self._is_there = self._count > 0
        self.damping = 5.0
        self.level = np.zeros(size)

    @property
    def parameters(self) -> float:
        """The effective number of free levels."""
        return float((self._count / (self._count + self.damping)).sum())

    def fit(self, residual: NDArray[np.float64]) -> None:
        """The levels of what the other side leaves."""
        total = np.bincount(self._group, residual, len(self.level))
        self.level = total / (self._count + self.damping)

    def damp(self, noise: float) -> None:
        """The damping from the levels' variance: what they show and what is not known of them."""
        spread = self.level**2 + noise / (self._count + self.damping)
        self.damping = noise / max(float(spread[self._is_there].mean()), 1e-9)


def _noise(residual: NDArray[np.float64], user: _Side, item: _Side) -> float:
    freedom = max(len(residual) - user.parameters - item.parameters, 1.0)
    return max(float((residual**2).sum()) / freedom, 1e-9)
