"""Windows as index ranges over sorted events: NumPy, without a loop over users or events."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from config import Config
from pipeline.ingest.splits import EVAL, TEST, TRAIN, Events

NO_TARGET: Final = -1

History = Literal["train", "near_train", "earlier_train", "frozen", "rolling", "own"]
"""The history of an eval or test target: see `Limits`."""


@dataclass(frozen=True)
class Limits:
    """The lengths of windows, and the history of eval and test targets.

    Attributes:
      max_events: The greatest number of events in a window.
      min_context: The number of events of context that each later window of a user starts with.
      history: `train`: an eval or test target sees the train events of its user (random split without times, where no
        event is later than another); `near_train`: the train events nearest to it, before and after (random split with
        times, frozen history); `earlier_train`: the train events before it (random split with times, rolling history);
        `frozen`: the train events, all earlier; `rolling`: all events before it; `own`: as `rolling`, of users without
        train events, whose first event is only history (user_hash).
    """

    max_events: int
    min_context: int
    history: History

    @classmethod
    def of(cls, config: Config) -> "Limits":
        """Returns the configured limits. A `min_context` without room for targets counts as half of `max_events`."""
        length, context = config.model.history.max_events, config.model.history.min_context
        context = context if context < length else length // 2
        if config.split.method == "random":
            timed: History = "near_train" if config.split.history == "frozen" else "earlier_train"
            return cls(length, context, timed if config.data.interactions.time else "train")
        return cls(length, context, "own" if config.split.method == "user_hash" else config.split.history)


@dataclass(frozen=True)
class Order:
    """The order of the events in windows: by user, then train before eval before test, then by (time, ordinal).

    A position is an index into this order. One user's events of the splits test, train, train have `events` [1, 2, 0],
    `part` [0, 0, 2] and `counts` [[2, 0, 1]].

    Attributes:
      events: The index of the event at each position, int64 [n].
      part: Its split, int8 [n].
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
    """Windows over an `Order`: the positions of the range [start, stop), and after them the target's.

    Attributes:
      user: The index of the window's user, int64 [w].
      start: The first position, int64 [w].
      stop: The position after the range, int64 [w].
      target: The position of the eval or test target, int64 [w]; `NO_TARGET` in train windows.
      context: The number of first events that are not targets, int64 [w].
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
        """Returns the windows at the indices."""
        return Windows(self.user[index], self.start[index], self.stop[index], self.target[index], self.context[index])

    def positions(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the positions of all events, window after window, and which are targets.

        The windows [3, 5) with target 7 and context 2, and [0, 2) without target or context, give the positions
        [3, 4, 7, 0, 1] and the targets [F, F, T, T, T].

        Returns:
          int64 [sum of lengths], bool [sum of lengths].
        """
        lengths = self.lengths
        ends = np.cumsum(lengths)
        within = np.arange(lengths.sum()) - np.repeat(ends - lengths, lengths)
        positions = np.repeat(self.start, lengths) + within
        is_last = self.target != NO_TARGET
        positions[ends[is_last] - 1] = self.target[is_last]
        return positions, within >= np.repeat(self.context, lengths)


def train_windows(order: Order, limits: Limits) -> Windows:
    """Divides each user's train events into windows so that every event is a target exactly once.

    The first window of a user has up to `max_events` targets. Each later one begins with `min_context` events that were
    targets before, and has up to `max_events - min_context` targets. With a `max_events` of 4 and a `min_context` of 2,
    seven events make the windows 0-3, 2-5 and 4-6, whose targets are 0-3, 4-5 and 6.
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
    """Returns one window for each eval or test event: its history of at most `max_events - 1` events, and itself."""
    target = np.flatnonzero(order.part == part)
    first = order.first[order.user[target]]
    if limits.history == "own":
        target, first = target[target > first], first[target > first]
    user = order.user[target]
    length, after_train = limits.max_events - 1, first + order.counts[user, TRAIN]
    match limits.history:
        case "train" | "frozen":
            stop = after_train
        case "near_train":
            middle = _earlier_train(order, target, first) + length // 2
            stop = np.minimum(np.maximum(middle, first + length), after_train)
        case "earlier_train":
            stop = _earlier_train(order, target, first)
        case _:
            stop = target
    start = np.maximum(first, stop - length)
    return Windows(user, start, stop, target, stop - start)


def _earlier_train(order: Order, target: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Returns the position after the user's last train event that is before each target, int64 [w].

    Args:
      order: The events.
      target: The positions of the targets, int64 [w].
      first: The position of the first event of each target's user, int64 [w].
    """
    is_train = np.zeros(len(order.part) + 1, np.int64)
    is_train[order.events + 1] = order.part == TRAIN
    before = np.cumsum(is_train)  # the number of train events before each event in the order of (user, time)
    return first + before[order.events[target]] - before[first]


@dataclass(frozen=True)
class SeenItems:
    """The items that the users of W eval or test windows had positives with before.

    A user's list are the items in the order of their first positives, which begins with the train events', then those
    of eval and of test. Each target has seen a beginning of it. Examples that repeated it would grow with the square of
    a user's events, so each of the user's examples holds a part of it, about as long as the others'.

    Attributes:
      first: The index of the first item of each window's part into `np.flatnonzero(is_first)`, int64 [W].
      stop: The index after its last, int64 [W].
      start: The position of the part in the user's list, int64 [W].
      count: The number of the list's items that the target's user has seen, int64 [W].
      is_shared: Whether the user has several windows, bool [W]; else the part is what the user has seen.
    """

    first: np.ndarray
    stop: np.ndarray
    start: np.ndarray
    count: np.ndarray
    is_shared: np.ndarray

    def take(self, index: slice) -> "SeenItems":
        """Returns those of the windows in the slice."""
        return SeenItems(*(values[index] for values in vars(self).values()))


def seen_items(order: Order, windows: Windows, is_first: np.ndarray, limits: Limits) -> SeenItems:
    """Divides each user's list of seen items among the user's windows.

    For example, a user's two windows that have both seen five items hold the items 0-1 and 2-4.

    Args:
      order: The events.
      windows: All of one split, of `target_windows`: a user's follow each other.
      is_first: Whether a position holds the user's first positive with its item, bool [n].
      limits: With history `own` the user's earlier events count in place of earlier splits.
    """
    list_start, seen_stop = _seen_ranges(order, windows, is_first, limits)
    count = seen_stop - list_start
    runs = np.flatnonzero(np.diff(windows.user, prepend=-1))
    lengths = np.diff(runs, append=len(windows.user))
    within = np.arange(len(windows.user)) - np.repeat(runs, lengths)
    longest = np.repeat(np.maximum.reduceat(count, runs) if len(runs) else runs, lengths)
    number = np.repeat(lengths, lengths)
    start, stop = longest * within // number, longest * (within + 1) // number
    return SeenItems(list_start + start, list_start + stop, start, count, number > 1)


def _seen_ranges(order: Order, windows: Windows, is_first: np.ndarray, limits: Limits) -> tuple[np.ndarray, np.ndarray]:
    """Returns the items that each target's user had positives with in earlier splits, as ranges of first positives.

    Args:
      order: The events.
      windows: Of `target_windows`.
      is_first: Whether a position holds the user's first positive with its item, bool [n].
      limits: With history `own` the user's earlier events count in place of earlier splits.

    Returns:
      Start and stop, int64 [w], indices into `np.flatnonzero(is_first)`.
    """
    before = np.concatenate([[0], np.cumsum(is_first)])
    first, counts = order.first[windows.user], order.counts[windows.user]
    earlier = counts[:, TRAIN] + np.where(order.part[windows.target] == TEST, counts[:, EVAL], 0)
    stop = windows.target if limits.history == "own" else first + earlier
    return before[first], before[stop]
