"""What the retrieval metrics remember of the events seen so far, in one slice, and how two such memories merge.

Users must be grouped: a figure is an average over users, and a tf.Example is one event. TFMA's `query_key` groups
before slicing, so a user's eval and test events, or events of different context slices, would flow together. So the
grouping happens here, per slice. Events of users with a single target (all of them with `leave_last_out`) are folded
into sums at once, whatever their number; of other users 24 bytes an event are kept to the end. The catalogue costs two
bytes an item.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.evaluation.user_figures import Floats, Targets, figures_by_user

_FOLD_EVERY = 1024
_NEVER = 255
"""The best place of an item that no list holds; lists are at most 100 long."""


class Event(NamedTuple):
    """One target event with a retrieval label, as the `evaluate` signature answers."""

    user: int
    target_count: float
    rank: float
    popularity_rank: float
    catalogue_size: float
    top_items: npt.NDArray[np.int64]
    popularity_top_items: npt.NDArray[np.int64]


@dataclass
class Memory:
    """Sums over users that are complete, events of users that may have more, and the best place of every item."""

    users: float
    sums: Floats
    """[3, M]: model, baseline, model minus baseline."""
    squares: Floats
    open_events: list[Targets] = field(default_factory=list)
    best_places: npt.NDArray[np.uint8] = field(default_factory=lambda: np.empty((2, 0), np.uint8))
    """[2, catalogue]: by the model and by the baseline."""
    pending: list[Event] = field(default_factory=list)


class Figures(NamedTuple):
    """Averages over users [3, M] (model, baseline, model minus baseline), and coverage [2, |ks|]."""

    users: float
    mean: Floats
    standard_error: Floats
    coverage: Floats


class UserAverages:
    """Folds events into a `Memory`, merges memories, and reads the averages out.

    Args:
      ks: The lengths K.
      one_list: See `figures_by_user`.
    """

    def __init__(self, ks: Sequence[int], one_list: bool):
        self._ks = tuple(ks)
        self._one_list = one_list

    def start(self) -> Memory:
        """An empty memory."""
        shape = (3, 3 * len(self._ks) + 1)
        return Memory(users=0, sums=np.zeros(shape), squares=np.zeros(shape))

    def add(self, memory: Memory, event: Event) -> Memory:
        """Takes an event in. Work is done once for many events."""
        memory.pending.append(event)
        return self.fold(memory) if len(memory.pending) >= _FOLD_EVERY else memory

    def merge(self, memories: Iterable[Memory]) -> Memory:
        """One memory of all."""
        folded = [self.fold(memory) for memory in memories]
        result = self.start()
        for memory in folded:
            result.users += memory.users
            result.sums += memory.sums
            result.squares += memory.squares
            result.open_events += memory.open_events
            result.best_places = _best_of(result.best_places, memory.best_places)
        return result

    def fold(self, memory: Memory) -> Memory:
        """Works through the pending events, and empties the list."""
        if not memory.pending:
            return memory
        events, memory.pending = memory.pending, []
        user, count, rank, popularity_rank, sizes, top, popularity_top = zip(*events, strict=True)
        targets = Targets(np.array(user, np.int64), np.array(rank, np.float64), np.array(popularity_rank, np.float64))
        alone = np.array(count) <= 1
        self._close(memory, targets.only(alone)._replace(user=np.arange(alone.sum())))
        memory.open_events.append(targets.only(~alone))
        size = int(max(sizes))
        places = np.stack([_places(np.stack(top), size), _places(np.stack(popularity_top), size)])
        memory.best_places = _best_of(memory.best_places, places)
        return memory

    def read(self, memory: Memory) -> Figures:
        """The averages. Every figure is NaN where there are no users; the standard error with fewer than two."""
        total = self.merge([memory])
        self._close(total, Targets.join([Targets.empty(), *total.open_events]))
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = total.sums / total.users if total.users else np.full_like(total.sums, np.nan)
            variance = np.maximum(total.squares / np.float64(total.users) - mean**2, 0)
            error = np.sqrt(variance / np.float64(total.users - 1))
        return Figures(total.users, mean, error, self._coverage(total))

    def _close(self, memory: Memory, targets: Targets) -> None:
        """Adds users all of whose events are here."""
        both = figures_by_user(targets, self._ks, self._one_list)
        values = np.concatenate([both, both[:1] - both[1:]])
        memory.users += values.shape[1]
        memory.sums += values.sum(axis=1)
        memory.squares += (values**2).sum(axis=1)

    def _coverage(self, memory: Memory) -> Floats:
        size = memory.best_places.shape[1]
        reached = (memory.best_places[..., None] < np.array(self._ks)).sum(axis=1)
        return reached / size if size else np.full(reached.shape, np.nan)


def _places(lists: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.uint8]:
    """The best place [size], from 0, of every item in lists [N, K] of item indexes; -1 fills short lists."""
    places = np.full(size, _NEVER, np.uint8)
    columns = np.broadcast_to(np.arange(lists.shape[1], dtype=np.uint8), lists.shape)
    listed = lists >= 0
    np.minimum.at(places, lists[listed], columns[listed])
    return places


def _best_of(left: npt.NDArray[np.uint8], right: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    size = max(left.shape[1], right.shape[1])
    padded = [np.pad(a, ((0, 0), (0, size - a.shape[1])), constant_values=_NEVER) for a in (left, right)]
    return np.minimum(*padded)
