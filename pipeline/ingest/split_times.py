"""Finds the split times of a `global_time` split, exact to the row, without sorting the events.

This is a radix selection: keys (time, ordinal) are four digits of 17 bits. Each pass counts one digit of the keys that
agree with the digits found so far, in a histogram that every worker fills and Beam adds up. It takes four passes over
16 bytes for each event. With decimal digits, the key of rank 2 (from 0) among 12, 14, 25 and 31 is found like this: the
first digit has the counts {1: 2, 2: 1, 3: 1}, so it is 2 and rank 0 is left; the second has {5: 1}, so the key is 25.
"""

from collections.abc import Iterable
from typing import Any, Final

import apache_beam as beam
import numpy as np

from config.data import SplitConfig
from pipeline.ingest.splits import SplitTimes, time_ranks
from pipeline.ingest.times import MAX_TIME

DIGITS: Final = 4
DIGIT_BITS: Final = 17
_BINS: Final = 1 << DIGIT_BITS
_MAX_ORDINAL: Final = 1 << (2 * DIGIT_BITS)


class Selection:
    """The state of a selection between two passes.

    Attributes:
      ranks: Each wanted rank among the keys that agree with the digits found so far; None before the first pass, which
        finds the number of rows.
      digits: The digits found for each rank.
    """

    def __init__(self, ranks: tuple[int, ...] | None = None, digits: tuple[tuple[int, ...], ...] = ((), ())) -> None:
        self.ranks = ranks
        self.digits = digits

    def histograms(self, time: np.ndarray, ordinal: np.ndarray) -> np.ndarray:
        """Returns the counts of the next digit for each rank: int64 [ranks, 2^17].

        Args:
          time: Seconds since 1970, int64 [n].
          ordinal: int64 [n].
        """
        digits = _digits(time, ordinal)
        rows = []
        for found in self.digits:
            agrees = np.ones(len(time), bool)
            for digit, column in zip(found, digits, strict=False):
                agrees &= column == digit
            rows.append(np.bincount(digits[len(found)][agrees], minlength=_BINS))
        return np.stack(rows)

    def narrowed(self, histograms: np.ndarray, split: SplitConfig) -> "Selection":
        """Returns the selection with one more digit, from the histograms of all workers."""
        ranks = time_ranks(int(histograms[0].sum()), split) if self.ranks is None else self.ranks
        sums = [np.cumsum(histogram) for histogram in histograms]
        # A rank past the last key, of a split time after all rows, takes the last bin and stays past it.
        found = [min(int(np.searchsorted(s, rank, "right")), _BINS - 1) for s, rank in zip(sums, ranks, strict=True)]
        left = tuple(int(rank - (s[f - 1] if f else 0)) for s, rank, f in zip(sums, ranks, found, strict=True))
        return Selection(left, tuple((*d, f) for d, f in zip(self.digits, found, strict=True)))

    def split_times(self) -> SplitTimes:
        """Returns the keys at the wanted ranks, after all passes."""
        keys = [
            ((high << DIGIT_BITS) + low - MAX_TIME, (far << DIGIT_BITS) + near) for high, low, far, near in self.digits
        ]
        return SplitTimes(*keys)


class FindSplitTimes(beam.PTransform):
    """Transforms (time, ordinal) arrays, int64 [2, n] each, to one `SplitTimes`."""

    def __init__(self, split: SplitConfig) -> None:
        super().__init__()
        self._split = split

    def expand(self, keys: Any) -> Any:
        """Builds one pass for each digit."""
        ranks = len(time_ranks(0, self._split))
        selection = keys.pipeline | "Start" >> beam.Create([Selection(digits=((),) * ranks)])
        for digit in range(DIGITS):
            counted = (
                keys
                | f"Histogram{digit}"
                >> beam.Map(lambda keys, found: found.histograms(keys[0], keys[1]), beam.pvalue.AsSingleton(selection))
                | f"Sum{digit}" >> beam.CombineGlobally(_sum).without_defaults()
            )
            selection = counted | f"Narrow{digit}" >> beam.Map(
                lambda histograms, found, split: found.narrowed(histograms, split),
                beam.pvalue.AsSingleton(selection),
                split=self._split,
            )
        return selection | "SplitTimes" >> beam.Map(Selection.split_times)


def _sum(histograms: Iterable[np.ndarray]) -> Any:
    return sum(histograms)


def _digits(time: np.ndarray, ordinal: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns the four digits of the keys, int64 [n] each."""
    if len(ordinal) and ordinal.max() >= _MAX_ORDINAL:
        raise ValueError(f"`global_time` should have less than {_MAX_ORDINAL} rows. Received: row {ordinal.max()}")
    mask, shifted = _BINS - 1, time + MAX_TIME
    return shifted >> DIGIT_BITS, shifted & mask, ordinal >> DIGIT_BITS, ordinal & mask
