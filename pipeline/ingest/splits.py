"""Which events train, evaluate and test: pure functions of sorted events.

Everywhere events are sorted by (user, time, ordinal); the ordinal is the position of the row in the whole table.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from config.data import ColdItems, SplitConfig

TRAIN: Final = 0
EVAL: Final = 1
TEST: Final = 2
UNUSED: Final = 3
"""Of no split: later than what a fold of a cross-validation sees."""


@dataclass(frozen=True)
class Events:
    """What splitting and windowing look at, for a set of whole users.

    Attributes:
      users: Ids, object [U].
      first: The index of each user's first event, int64 [U + 1]; the last is the number of events n.
      time: Seconds, int64 [n].
      ordinal: Unique among all events, int64 [n].
    """

    users: np.ndarray
    first: np.ndarray
    time: np.ndarray
    ordinal: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """The number of each user's events, int64 [U]."""
        return np.diff(self.first)

    @property
    def user(self) -> np.ndarray:
        """The index of each event's user, int64 [n]."""
        return np.repeat(np.arange(len(self.users)), self.counts)


@dataclass(frozen=True)
class SplitTimes:
    """The first eval row, the first test row and the first row that a fold does not see, by (time, ordinal), exact to
    the row; one past the end where none."""

    eval_start: tuple[int, int]
    test_start: tuple[int, int]
    end: tuple[int, int] | None = None
    """None: every row is of a split."""


def cut_ranks(rows: int, split: SplitConfig) -> tuple[int, int]:
    """The ranks of the first eval row and the first test row among `rows` rows in their order."""
    # Rounded to a millionth first: shares add up inexactly, and a row must not change its split for that.
    eval_start = int(round(rows * (1 - split.eval_share - split.tested), 6))
    return eval_start, int(round(rows * (1 - split.tested), 6))


def time_ranks(rows: int, split: SplitConfig) -> tuple[int, ...]:
    """The ranks of the split_times of a `global_time` split: two, and with a fold the end of what it sees."""
    if split.fold is None:
        return cut_ranks(rows, split)
    end = rows * (split.fold.number + 1) // (split.fold.of + 1)
    return (*cut_ranks(end, split), end)


def leave_last_out(events: Events, unused: int = 0) -> np.ndarray:
    """Each user's last event tests, the one before evaluates, the rest train: int8 [n].

    A user with two events has one to train and one to test, a user with one only trains: a test without any history
    would tell nothing about the user, and eval is the split to do without. `unused` events at each user's end are as
    if they had not happened.
    """
    counts = np.maximum(events.counts - unused, 0)
    part = np.full(len(events.time), TRAIN, np.int8)
    part[np.arange(len(part)) >= np.repeat(events.first[:-1] + counts, events.counts)] = UNUSED
    last = events.first[:-1] + counts - 1
    part[last[counts >= 2]] = TEST
    part[last[counts >= 3] - 1] = EVAL
    return part


def global_time(events: Events, split_times: SplitTimes) -> np.ndarray:
    """Events before the first cut train, before the second evaluate, the rest up to the end test: int8 [n]."""
    parts = [_at_or_after(events, cut) for cut in (split_times.eval_start, split_times.test_start)]
    part = (parts[0].astype(np.int8) + parts[1]).astype(np.int8)
    if split_times.end is not None:
        part[_at_or_after(events, split_times.end)] = UNUSED
    return part


def user_hash(events: Events, split: SplitConfig) -> np.ndarray:
    """All events of a user go where the hash of the user's id and the seed says: int8 [n]."""
    return np.repeat(_by_share(_uniform(hash_text(events.users), split.seed), split), events.counts)


def permutation_parts(rows: int, split: SplitConfig) -> np.ndarray:
    """The split of every row of a table by `numpy.random.RandomState(seed).permutation`: int8 [rows].

    The permutation's first rows train, its last `test_share` test, so the test rows do not depend on `eval_share`.
    Rows that cleaning drops have their position in it too. Folds turn the permutation so that each part of it is once the
    last.
    """
    eval_start, test_start = cut_ranks(rows, split)
    order = np.random.RandomState(split.seed).permutation(rows)
    if split.fold is not None:
        start, stop = (rows * number // split.fold.of for number in (split.fold.number - 1, split.fold.number))
        order, test_start = np.roll(order, -stop), rows - (stop - start)
        eval_start = test_start - int(round(rows * split.eval_share, 6))
    parts = np.full(rows, TRAIN, np.int8)
    parts[order[eval_start:test_start]] = EVAL
    parts[order[test_start:]] = TEST
    return parts


def hashed_parts(events: Events, split: SplitConfig) -> np.ndarray:
    """For tables too large for a permutation: each row by the hash of its ordinal and the seed, int8 [n]."""
    return _by_share(_uniform(events.ordinal.astype(np.uint64), split.seed), split)


def is_held_out(items: np.ndarray, cold: ColdItems) -> np.ndarray:
    """Whether each of n items is one of the share that training does not see: bool [n]; items are texts."""
    return _uniform(hash_text(items), cold.seed) < cold.share


def hash_text(texts: np.ndarray) -> np.ndarray:
    """A 64-bit hash of each text, the same in every process: uint64 [n]."""
    return pd.util.hash_array(np.asarray(texts, object), categorize=False)


def _at_or_after(events: Events, cut: tuple[int, int]) -> np.ndarray:
    time, ordinal = cut
    return (events.time > time) | ((events.time == time) & (events.ordinal >= ordinal))


def _uniform(keys: np.ndarray, seed: int) -> np.ndarray:
    """Numbers in [0, 1) from 64-bit keys and a seed, by the finaliser of SplitMix64 (Steele et al., 2014)."""
    mixed = keys + np.uint64((seed * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)) / 2.0**53


def _by_share(uniform: np.ndarray, split: SplitConfig) -> np.ndarray:
    if split.fold is not None:
        # Turned by whole parts: a number is in the last one in exactly one fold.
        part = np.floor(uniform * split.fold.of)
        uniform = (part - split.fold.number) % split.fold.of / split.fold.of + (uniform - part / split.fold.of)
    is_eval = uniform >= 1 - split.eval_share - split.tested
    return (is_eval.astype(np.int8) + (uniform >= 1 - split.tested)).astype(np.int8)
