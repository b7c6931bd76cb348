"""The most popular items: ever, and lately."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.peers.exam import Queries, Training

DAY: Final = 86_400


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
