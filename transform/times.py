"""A histogram of the times of events, and the span that holds nearly all of them."""

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

DAY: Final = 86_400
Span = tuple[int, int] | None
"""The first and the last second."""
_TAIL: Final = 0.02
"""The share of the events at either end that may be errors."""


class Times(NamedTuple):
    """The number of events in each stretch of time of a given width; stretches without events are left out.

    Attributes:
      stretch: The stretches' numbers, counted in their width from 1970, rising, int64 [S].
      events: Their number, int64 [S].
      first: The first second with an event, int64 [S].
      last: The last one, int64 [S].
      width: Of a stretch, seconds.
    """

    stretch: np.ndarray
    events: np.ndarray
    first: np.ndarray
    last: np.ndarray
    width: int

    @classmethod
    def of(cls, seconds: np.ndarray, width: int) -> "Times":
        """Makes the histogram of events at seconds since 1970, int64 [n]."""
        return cls(seconds // width, np.ones(len(seconds), np.int64), seconds, seconds, width)._summed()

    @classmethod
    def merged(cls, parts: "Iterable[Times]") -> "Times":
        """Merges parts of equal width; a Beam combiner."""
        found = list(parts) or [cls.of(np.array([], np.int64), 1)]
        stretch, events, first, last = (np.concatenate([part[position] for part in found]) for position in range(4))
        return cls(stretch, events, first, last, max(part.width for part in found))._summed()

    def usual_span(self, days: float) -> Span:
        """Returns the first and the last second without outliers: events further from the central 96% than these span,
        and further than a number of days."""
        if not len(self.stretch):
            return None
        shares = np.cumsum(self.events) / self.events.sum()
        low, high = self.stretch[np.searchsorted(shares, [_TAIL, 1 - _TAIL])]
        reach = max(high - low + 1, days * DAY / self.width)
        kept = np.flatnonzero((self.stretch >= low - reach) & (self.stretch <= high + reach))
        return int(self.first[kept[0]]), int(self.last[kept[-1]])

    def _summed(self) -> "Times":
        """Adds up equal stretches."""
        order = np.argsort(self.stretch, kind="stable")
        stretch, starts = np.unique(self.stretch[order], return_index=True)
        if not len(starts):
            return self
        events = np.add.reduceat(self.events[order], starts)
        first, last = np.minimum.reduceat(self.first[order], starts), np.maximum.reduceat(self.last[order], starts)
        return Times(stretch, events, first, last, self.width)
