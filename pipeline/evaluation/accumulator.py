"""The accumulator of the retrieval metrics in one slice.

Events must be grouped by user: a metric is an average over users, and a tf.Example is one event. TFMA's `query_key`
groups before slicing, so a user's eval and test events, or events of different context slices, would be mixed. So the
grouping happens here, per slice. Events of users with a single target (all of them with `leave_last_out`) are added to
sums at once, whatever their number; of other users 24 bytes an event are kept to the end. The catalogue takes two bytes
an item.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from trainer.metrics.ordering import joined
from trainer.metrics.ranking import Floats, Integers, Targets, metrics_by_user

Positions = npt.NDArray[np.uint8]
_NEVER = 255
"""The position of an item that no list holds; lists are at most 100 long."""


class Events(NamedTuple):
    """Target events with a retrieval label, from the outputs of the `evaluate` signature: aligned arrays of N rows."""

    targets: Targets
    target_count: Floats
    top_items: Integers
    """[N, K] item indexes, -1 where there are fewer."""
    popularity_top_items: Integers
    catalogue_size: int


@dataclass
class Memory:
    """Sums over complete users, events of users that may have more, and the best position of every item."""

    users: float
    sums: Floats
    """[3, M]: model, baseline, model minus baseline."""
    squares: Floats
    open_events: list[Targets] = field(default_factory=list)
    best_positions: Positions = field(default_factory=lambda: np.empty((2, 0), np.uint8))
    """[2, catalogue], from 0: in the model's and in the baseline's lists."""


class Averages(NamedTuple):
    """Averages over users [3, M] (model, baseline, model minus baseline), and coverage [2, |ks|]."""

    users: float
    mean: Floats
    standard_error: Floats
    coverage: Floats


class UserAverages:
    """Adds events to a `Memory`, merges memories, and computes the averages.

    Args:
      ks: The lengths K.
      one_list: See `metrics_by_user`.
    """

    def __init__(self, ks: Sequence[int], one_list: bool):
        self._ks = tuple(ks)
        self._one_list = one_list

    def start(self) -> Memory:
        """Returns an empty memory."""
        shape = (3, 3 * len(self._ks) + 1)
        return Memory(users=0, sums=np.zeros(shape), squares=np.zeros(shape))

    def add(self, memory: Memory, events: Events) -> Memory:
        """Adds events to the memory and returns it."""
        alone = events.target_count <= 1
        self._close(memory, events.targets.only(alone)._replace(user=np.arange(alone.sum())))
        memory.open_events.append(events.targets.only(~alone))
        lists = (events.top_items, events.popularity_top_items)
        positions = np.stack([best_positions(items, events.catalogue_size) for items in lists])
        memory.best_positions = _better(memory.best_positions, positions)
        return memory

    def merge(self, memories: Iterable[Memory]) -> Memory:
        """Returns one memory of all."""
        result = self.start()
        for memory in memories:
            result.users += memory.users
            result.sums += memory.sums
            result.squares += memory.squares
            result.open_events += memory.open_events
            result.best_positions = _better(result.best_positions, memory.best_positions)
        result.open_events = [joined(Targets, result.open_events)]
        return result

    def averages(self, memory: Memory) -> Averages:
        """Returns the averages: NaN where there are no users, and standard errors NaN with fewer than two."""
        total = self.merge([memory])
        self._close(total, total.open_events[0])
        users = np.float64(total.users)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = total.sums / users
            variance = np.maximum(total.squares / users - mean**2, 0)
            error = np.sqrt(variance / (users - 1))
            coverage = self._reached(total.best_positions) / np.float64(total.best_positions.shape[1])
        return Averages(total.users, mean, np.where(users > 1, error, np.nan), coverage)

    def _close(self, memory: Memory, targets: Targets) -> None:
        """Adds users without further events to the sums."""
        both = metrics_by_user(targets, self._ks, self._one_list)
        values = np.concatenate([both, both[:1] - both[1:]])
        memory.users += values.shape[1]
        memory.sums += values.sum(axis=1)
        memory.squares += (values**2).sum(axis=1)

    def _reached(self, positions: Positions) -> Integers:
        """Returns the number of items within the first K of some list, [2, |ks|]."""
        return np.stack([(positions < min(k, _NEVER)).sum(axis=1) for k in self._ks], axis=-1)


def best_positions(lists: Integers, size: int) -> Positions:
    """Returns the best position of every item in lists of item indexes, from 0; 255 for an item in none.

    Args:
      lists: int [N, K], -1 where a list is shorter. [[2, -1], [0, 2]] has the positions [0, 255, 0, 255] of 4 items.
      size: The number of items.

    Returns:
      uint8 [size].
    """
    positions = np.full(size, _NEVER, np.uint8)
    columns = np.broadcast_to(np.arange(lists.shape[1], dtype=np.uint8), lists.shape)
    listed = lists >= 0
    np.minimum.at(positions, lists[listed], columns[listed])
    return positions


def _better(left: Positions, right: Positions) -> Positions:
    size = max(left.shape[1], right.shape[1])
    padded = [np.pad(a, ((0, 0), (0, size - a.shape[1])), constant_values=_NEVER) for a in (left, right)]
    return np.minimum(*padded)
