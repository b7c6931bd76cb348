"""What followed the last items in other users' histories."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from benchmarks.peers.exam import Queries, Training


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
