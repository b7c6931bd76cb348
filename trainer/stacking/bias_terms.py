"""How high the labels of a user and of an item lie."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from trainer.stacking.labels import TrainLabels

_ROUNDS = 30


class BiasTerms(NamedTuple):
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


def fit_bias_terms(labels: TrainLabels, users: int, items: int, attributes: Iterable[sp.csr_matrix] = ()) -> BiasTerms:
    """Shrunk least squares, users, items and the items' attributes in turn (Koren 2010, section 2.1).

    An item's level is the sum of its own and of its attributes' values': what has few labels is expected to be like
    others of its author. How much is shrunk is found too: the bias_terms of users, of items and of each attribute are
    taken to be normal with variances of their own, and one with n labels is shrunk by n / (n + noise / variance), as
    in a model of random effects fitted by expectation and maximisation.

    Args:
        labels: of the train log.
        users: U.
        items: V.
        attributes: float [V + 1, C] of each, how much its values count for an item; rows of length 1, or 0.
    """
    mean = float(labels.label.mean())
    shares = [matrix.tocsr() for matrix in attributes]
    others = [_Side(matrix[labels.item]) for matrix in shares]
    user, item = _Side(_indicators(labels.user, users)), _Side(_indicators(labels.item, items))
    sides = [*others, item, user]
    left = labels.label - mean
    for _ in range(_ROUNDS):
        for side in sides:
            left += side.contribution
            side.fit(left)
            left -= side.contribution
        noise = _noise(left, sides)
        for side in sides:
            side.damp(noise)
    of_items = sum((matrix @ side.level for matrix, side in zip(shares, others, strict=True)), np.zeros(items + 1))
    return BiasTerms(mean, np.append(user.level, 0.0), np.append(item.level, 0.0) + of_items)


def _indicators(group: NDArray[np.int64], size: int) -> sp.csr_matrix:
    """float [E, size]: 1 where the event is the group's."""
    return sp.csr_matrix((np.ones(len(group)), group, np.arange(len(group) + 1)), shape=(len(group), size))


class _Side:
    """The bias_terms of one kind, C of them: `damping` is the noise by their variance.

    Args:
        design: float [E, C], how much each level counts for each label.
    """

    def __init__(self, design: sp.csr_matrix) -> None:
        self._design = design
        self._count = np.asarray(design.power(2).sum(axis=0)).ravel()
        self._is_there = self._count > 0
        # BiasTerms that meet in a label would all answer for it at once.
        self._step = 1 / np.diff(design.indptr).max(initial=1)
        self.damping = 5.0
        self.level = np.zeros(design.shape[1])
        self.contribution = np.zeros(design.shape[0])
        """What the bias_terms add to each label: float [E]."""

    @property
    def parameters(self) -> float:
        """The effective number of free bias_terms."""
        return float((self._count / (self._count + self.damping)).sum())

    def fit(self, left: NDArray[np.float64]) -> None:
        """Brings the bias_terms nearer to what all others leave of the labels, or right there where none meet."""
        slope = self._design.T @ (left - self.contribution) - self.damping * self.level
        self.level += self._step * slope / (self._count + self.damping)
        self.contribution = self._design @ self.level

    def damp(self, noise: float) -> None:
        """The damping from the bias_terms' variance: what they show and what is not known of them."""
        spread = self.level**2 + noise / (self._count + self.damping)
        self.damping = noise / max(float(spread[self._is_there].mean()), 1e-9) if self._is_there.any() else 1.0


def _noise(left: NDArray[np.float64], sides: Sequence[_Side]) -> float:
    freedom = max(len(left) - sum(side.parameters for side in sides), 1.0)
    return max(float((left**2).sum()) / freedom, 1e-9)
