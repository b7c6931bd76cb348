"""Which events train, evaluate and test: pure functions of sorted events.

Events are sorted by (user, time, ordinal); the ordinal is the index of the row in the whole table.
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
"""In no split: later than the end of a fold of a cross-validation, or an event of a cold item."""


@dataclass(frozen=True)
class Events:
    """The events of a set of whole users, as splits and windows need them.

    Three events of "a" and two of "b" have `first` [0, 3, 5] and `user` [0, 0, 0, 1, 1].

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
    """The (time, ordinal) at which the splits of a `global_time` split begin, exact to the row.

    Attributes:
      eval_start: Of the first eval row; past the last row where there is none.
      test_start: Of the first test row.
      end: Of the first row after a fold; None: every row is in a split.
    """

    eval_start: tuple[int, int]
    test_start: tuple[int, int]
    end: tuple[int, int] | None = None


def split_ranks(rows: int, split: SplitConfig) -> tuple[int, int]:
    """Returns the ranks of the first eval row and the first test row among `rows` rows in their order."""
    # Rounded to a millionth first: shares add up inexactly, and a row must not change its split for that.
    eval_start = int(round(rows * (1 - split.eval_share - split.tested), 6))
    return eval_start, int(round(rows * (1 - split.tested), 6))


def time_ranks(rows: int, split: SplitConfig) -> tuple[int, ...]:
    """Returns the ranks of the split times of a `global_time` split: two, and with a fold the rank of its end."""
    if split.fold is None:
        return split_ranks(rows, split)
    end = rows * (split.fold.number + 1) // (split.fold.of + 1)
    return (*split_ranks(end, split), end)


def leave_last_out(events: Events, unused: int = 0) -> np.ndarray:
    """Returns splits in which each user's last event tests, the one before evaluates and the rest train: int8 [n].

    A user with two events has one to train and one to test, a user with one only trains: a test without any history
    would not measure the model of the user, and eval is the split to do without.

    Args:
      events: The events, [n].
      unused: The number of events at each user's end that are in no split.
    """
    counts = np.maximum(events.counts - unused, 0)
    part = np.full(len(events.time), TRAIN, np.int8)
    part[np.arange(len(part)) >= np.repeat(events.first[:-1] + counts, events.counts)] = UNUSED
    last = events.first[:-1] + counts - 1
    part[last[counts >= 2]] = TEST
    part[last[counts >= 3] - 1] = EVAL
    return part


def global_time(events: Events, split_times: SplitTimes) -> np.ndarray:
    """Returns splits by time: before `eval_start` train, then eval, then test up to the end: int8 [n]."""

    def is_since(start: tuple[int, int]) -> np.ndarray:
        time, ordinal = start
        return (events.time > time) | ((events.time == time) & (events.ordinal >= ordinal))

    part = (is_since(split_times.eval_start).astype(np.int8) + is_since(split_times.test_start)).astype(np.int8)
    if split_times.end is not None:
        part[is_since(split_times.end)] = UNUSED
    return part


def user_hash(events: Events, split: SplitConfig) -> np.ndarray:
    """Returns splits by the hash of the user's id and the seed, one for all events of a user: int8 [n]."""
    return np.repeat(_by_share(_uniform(hash_text(events.users), split.seed), split), events.counts)


def permutation_parts(rows: int, split: SplitConfig) -> np.ndarray:
    """Returns the split of every row of a table by `numpy.random.RandomState(seed).permutation`: int8 [rows].

    The permutation's first rows train and its last `test_share` test, so the test rows do not depend on `eval_share`.
    Rows that cleaning drops are in it too. Folds rotate the permutation so that each part of it is the last once.
    """
    eval_start, test_start = split_ranks(rows, split)
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
    """Returns splits by the hash of the ordinal and the seed, for tables too large for a permutation: int8 [n]."""
    return _by_share(_uniform(events.ordinal.astype(np.uint64), split.seed), split)


def is_held_out(items: np.ndarray, cold: ColdItems) -> np.ndarray:
    """Returns which items are among the share that training does not see: bool [n]; items are texts."""
    return _uniform(hash_text(items), cold.seed) < cold.share


def hash_text(texts: np.ndarray) -> np.ndarray:
    """Returns a 64-bit hash of each text, the same in every process: uint64 [n]."""
    return pd.util.hash_array(np.asarray(texts, object), categorize=False)


def mix_bits(keys: np.ndarray, seed: int) -> np.ndarray:
    """Returns pseudo-random 64-bit numbers, distinct for distinct keys: uint64 [n].

    This is the finaliser of SplitMix64 (Steele et al., "Fast Splittable Pseudorandom Number Generators", 2014).
    """
    mixed = keys + np.uint64((seed * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))


def _uniform(keys: np.ndarray, seed: int) -> np.ndarray:
    """Returns pseudo-random numbers in [0, 1) from 64-bit keys: float64 [n]."""
    return (mix_bits(keys, seed) >> np.uint64(11)) / 2.0**53


def _by_share(uniform: np.ndarray, split: SplitConfig) -> np.ndarray:
    if split.fold is not None:
        # Rotated by whole parts: a number is in the last one in exactly one fold.
        part = np.floor(uniform * split.fold.of)
        uniform = (part - split.fold.number) % split.fold.of / split.fold.of + (uniform - part / split.fold.of)
    is_eval = uniform >= 1 - split.eval_share - split.tested
    return (is_eval.astype(np.int8) + (uniform >= 1 - split.tested)).astype(np.int8)
