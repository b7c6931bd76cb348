"""Windows as index ranges over sorted events: pure NumPy, no loop over users or events."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from config import Config
from pipeline.ingest.splits import EVAL, TEST, TRAIN, Events

NO_TARGET: Final = -1

History = Literal["train", "near_train", "earlier_train", "frozen", "rolling", "own"]
"""What evaluation looks back on: see `Limits`."""


@dataclass(frozen=True)
class Limits:
    """The lengths of windows and what evaluation may look back on.

    Attributes:
      max_events: A window's length at most.
      min_context: The number of events of context that each later window of a user starts with.
      history: `train`: an eval or test target sees all train events of its user (random split without times, where
        no event is later than another); `near_train`: those before and after it, the nearest in order (random split
        with times, frozen history); `earlier_train`: those before it (random split with times); `frozen`: the train
        events, all earlier; `rolling`: all events before it; `own`: as rolling, for users without train events,
        whose first event is only history (user_hash).
    """

    max_events: int
    min_context: int
    history: History

    @classmethod
    def of(cls, config: Config) -> "Limits":
        """The configured limits. A `min_context` that leaves no room for targets counts as half of `max_events`."""
        length, context = config.model.history.max_events, config.model.history.min_context
        context = context if context < length else length // 2
        if config.split.method == "random":
            timed: History = "near_train" if config.split.history == "frozen" else "earlier_train"
            return cls(length, context, timed if config.data.interactions.time else "train")
        return cls(length, context, "own" if config.split.method == "user_hash" else config.split.history)


@dataclass(frozen=True)
class Order:
    """Each user's events in the order of the windows, train before eval before test, each by (time, ordinal).

    Attributes:
      events: Indexes of the events as they were, int64 [n].
      part: The split of each event in the new order, int8 [n].
      user: The index of its user, int64 [n].
      first: The position of each user's first event, int64 [U + 1].
      counts: The number of each user's events by split, int64 [U, 3].
    """

    events: np.ndarray
    part: np.ndarray
    user: np.ndarray
    first: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, events: Events, part: np.ndarray) -> "Order":
        """Sorts by (user, split); only a random split changes the order in time by it."""
        user, users = events.user, len(events.users)
        order = np.lexsort((part, user))  # stable: within a split the order stays
        counts = np.bincount(user * 3 + part, minlength=users * 3).reshape(users, 3)
        return cls(order, part[order], user, events.first, counts)


@dataclass(frozen=True)
class Windows:
    """Windows over an `Order`: the range [start, stop) of its positions, and behind it one more position, the target.

    Attributes:
      user: The index of the window's user, int64 [w].
      start, stop: The range, int64 [w].
      target: The position of the eval or test target, int64 [w]; `NO_TARGET` in train windows.
      context: How many of the first events are no targets, int64 [w].
    """

    user: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    target: np.ndarray
    context: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """The number of events, int64 [w]."""
        return self.stop - self.start + (self.target != NO_TARGET)

    def take(self, index: np.ndarray | slice) -> "Windows":
        """Some of the windows, in another order."""
        return Windows(self.user[index], self.start[index], self.stop[index], self.target[index], self.context[index])

    def positions(self) -> tuple[np.ndarray, np.ndarray]:
        """The positions of all events, window after window, int64 [sum of lengths], and whether each is a target."""
        lengths = self.lengths
        ends = np.cumsum(lengths)
        within = np.arange(lengths.sum()) - np.repeat(ends - lengths, lengths)
        positions = np.repeat(self.start, lengths) + within
        is_last = self.target != NO_TARGET
        positions[ends[is_last] - 1] = self.target[is_last]
        return positions, within >= np.repeat(self.context, lengths)


def train_windows(order: Order, limits: Limits) -> Windows:
    """SplitTimes each user's train events into windows: every event is a target exactly once.

    The first window of a user has up to `max_events` targets, each later one `min_context` events of context that
    were targets before, and up to `max_events - min_context` targets.
    """
    events, step = order.counts[:, TRAIN], limits.max_events - limits.min_context
    later = -(-np.maximum(events - limits.max_events, 0) // step)
    windows = np.where(events > 0, 1 + later, 0)
    user = np.repeat(np.arange(len(windows)), windows)
    number = np.arange(windows.sum()) - np.repeat(np.cumsum(windows) - windows, windows)
    first = order.first[:-1][user]
    start = first + number * step
    stop = np.minimum(start + limits.max_events, first + events[user])
    return Windows(user, start, stop, np.full(len(user), NO_TARGET), np.where(number > 0, limits.min_context, 0))


def target_windows(order: Order, part: int, limits: Limits) -> Windows:
    """One window for each eval or test event: the history that it may see, at most `max_events - 1`, and itself."""
    target = np.flatnonzero(order.part == part)
    first = order.first[order.user[target]]
    if limits.history == "own":
        target, first = target[target > first], first[target > first]
    user = order.user[target]
    stop = _history_stop(order, target, first, limits)
    start = np.maximum(first, stop - (limits.max_events - 1))
    return Windows(user, start, stop, target, stop - start)


def _history_stop(order: Order, target: np.ndarray, first: np.ndarray, limits: Limits) -> np.ndarray:
    """The position behind the last event of each target's history, int64 [w]; `first`: of its user's first event."""
    behind_train = first + order.counts[order.user[target], TRAIN]
    match limits.history:
        case "train" | "frozen":
            return behind_train
        case "near_train":
            length = limits.max_events - 1
            return np.minimum(
                np.maximum(_earlier_train(order, target, first) + length // 2, first + length), behind_train
            )
        case "earlier_train":
            return _earlier_train(order, target, first)
        case _:
            return target


def _earlier_train(order: Order, target: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The position behind the user's last train event before each target, int64 [w]."""
    is_train = np.zeros(len(order.part) + 1, np.int64)
    is_train[order.events + 1] = order.part == TRAIN
    before = np.cumsum(is_train)  # of all events in the order of (user, time): those in train
    return first + before[order.events[target]] - before[first]


def seen_ranges(order: Order, windows: Windows, is_first: np.ndarray, limits: Limits) -> tuple[np.ndarray, np.ndarray]:
    """What each eval or test target's user has met in the splits before: ranges over the positions where `is_first` holds.

    Args:
      order: The events.
      windows: Of `target_windows`.
      is_first: Whether the position holds the user's first positive with its item, bool [n].
      limits: With history `own` the splits before are the user's earlier events.

    Returns:
      Start and stop, int64 [w], indexes into `np.flatnonzero(is_first)`.
    """
    before = np.concatenate([[0], np.cumsum(is_first)])
    first, counts = order.first[windows.user], order.counts[windows.user]
    earlier = counts[:, TRAIN] + np.where(order.part[windows.target] == TEST, counts[:, EVAL], 0)
    stop = windows.target if limits.history == "own" else first + earlier
    return before[first], before[stop]
