"""Peers that rank, in NumPy and SciPy: popularity, neighbours, EASE, transitions and a blend of them."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import scipy.sparse as sp
from scipy.linalg import cho_factor, cho_solve

from benchmarks.peers.evaluation import Queries, Training
from benchmarks.peers.ranking import Ranker

DAY: Final = 86_400
BLOCK: Final = 1024


@dataclass
class Popularity:
    """The number of events of an item."""

    def fit(self, training: Training) -> None:
        """Counts."""
        self._counts = np.bincount(training.item, minlength=training.items).astype(np.float32)

    def score(self, queries: Queries) -> np.ndarray:
        """The counts, the same for all: float32 [B, V]."""
        return np.broadcast_to(self._counts, (len(queries), len(self._counts)))


@dataclass
class RecentPopularity:
    """The number of events of an item in the last days before the request.

    Never after the request, and never after the last event of the training data: a request after it asks for the
    last days of the training data. Items without recent events follow by popularity.
    """

    days: float = 30.0

    def fit(self, training: Training) -> None:
        """Keeps the events by time."""
        order = np.argsort(training.time, kind="stable")
        self._time, self._item, self._items = training.time[order], training.item[order], training.items

    def score(self, queries: Queries) -> np.ndarray:
        """The counts at the time of each request: float32 [B, V]."""
        # An event at the very second of the request may be the next one: it does not count.
        stop = np.searchsorted(self._time, queries.time)
        end = np.minimum(queries.time, self._time[-1] + 1)
        start = np.searchsorted(self._time, end - self.days * DAY)
        return self._counts(start, stop)

    def _counts(self, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
        spans, inverse = np.unique(np.stack([start, stop], axis=1), axis=0, return_inverse=True)
        counts = np.zeros((len(spans), self._items), np.float32)
        for row, (first, last) in enumerate(spans):
            counts[row] = np.bincount(self._item[first:last], minlength=self._items)
        return counts[inverse.reshape(-1)]


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


@dataclass
class Transitions:
    """Counts how often one item followed another, decayed by the distance between them (a Markov chain with skips).

    Args:
      window: The greatest distance, in events.
      distance_decay: An event at distance d counts distance_decay ** (d - 1).
      history_decay: The history's last item but n counts history_decay ** n.
      damping: A count is divided by the popularity of the item it leads to, to this power.
    """

    window: int = 10
    distance_decay: float = 0.8
    history_decay: float = 0.8
    damping: float = 0.3

    def fit(self, training: Training) -> None:
        """Counts all pairs of a user's events within the window."""
        counts = sp.csr_matrix((training.items, training.items), dtype=np.float32)
        for distance in range(1, min(self.window, len(training.user) - 1) + 1):
            counts += self._at_distance(training, distance)
        left = np.asarray(counts.sum(axis=1)).ravel()
        popularity = np.bincount(training.item, minlength=training.items).astype(np.float32)
        leaving = sp.diags(1 / np.maximum(left, 1e-9))
        arriving = sp.diags(np.maximum(popularity, 1) ** np.float32(-self.damping))
        self._weights = (leaving @ counts @ arriving).astype(np.float32)

    def _at_distance(self, training: Training, distance: int) -> sp.csr_matrix:
        same = training.user[distance:] == training.user[:-distance]
        pairs = training.item[:-distance][same], training.item[distance:][same]
        weights = np.full(len(pairs[0]), self.distance_decay ** (distance - 1), np.float32)
        return sp.csr_matrix((weights, pairs), shape=(training.items, training.items))

    def score(self, queries: Queries) -> np.ndarray:
        """The decayed sum over the history's last items: float32 [B, V]."""
        # Below a thousandth of the last item's weight nothing moves.
        length = int(np.ceil(np.log(1e-3) / np.log(self.history_decay)))
        items = queries.recent(length)
        weights = np.broadcast_to(self.history_decay ** np.arange(length, dtype=np.float32), items.shape)
        row, column = np.nonzero(items < queries.items)
        shape = (len(queries), queries.items)
        history = sp.csr_matrix((weights[row, column], (row, items[row, column])), shape=shape)
        return (history @ self._weights).toarray()


@dataclass
class FitOnce:
    """Fits a ranker again only for other training data: the parts of many blends are the same."""

    ranker: Ranker
    _training: Training | None = field(default=None, repr=False)

    def fit(self, training: Training) -> None:
        """Fits, unless done."""
        if training is not self._training:
            self.ranker.fit(training)
            self._training = training

    def score(self, queries: Queries) -> np.ndarray:
        """The ranker's scores."""
        return self.ranker.score(queries)


@dataclass
class Blend:
    """The sum of rankers' scores, each scaled to deviation 1 over the catalogue, times its weight."""

    weights: tuple[float, ...]
    rankers: tuple[Ranker, ...] = field(repr=False)

    def fit(self, training: Training) -> None:
        """Fits all parts."""
        for ranker in self.rankers:
            ranker.fit(training)

    def score(self, queries: Queries) -> np.ndarray:
        """The weighted sum: float32 [B, V]."""
        total = np.zeros((len(queries), queries.items), np.float32)
        for weight, ranker in zip(self.weights, self.rankers, strict=True):
            scores = ranker.score(queries)
            deviation = scores.std(axis=1, keepdims=True)
            total += weight * (scores / np.where(deviation > 0, deviation, 1)).astype(np.float32)
        return total
