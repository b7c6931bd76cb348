"""The train log as sparse matrices: who interacted with what, and what followed what."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from config import feature_names
from trainer.data.dataset import WindowData

_READ_BATCH: Final = 1024
_CHUNK_EVENTS: Final = 1 << 20
"""About the number of events whose transitions are counted at once."""


class TrainLog(NamedTuple):
    """The positive train events of known items.

    Attributes:
        interactions: float32 [U, V], 1 where a user interacted with an item.
        transitions: float32 [V, V], the weighted number of times that the column's item followed the row's.
    """

    interactions: sp.csr_matrix
    transitions: sp.csr_matrix


class _Events(NamedTuple):
    """E events in the order of their windows and times.

    Attributes:
        window: int64 [E], counted over the whole log.
        user: int64 [E].
        item: int32 [E].
        is_target: bool [E].
    """

    window: NDArray[np.int64]
    user: NDArray[np.int64]
    item: NDArray[np.int32]
    is_target: NDArray[np.bool_]


def read_log(data: WindowData, size: int, user_count: int, window: int, decay: float) -> TrainLog:
    """Reads all train windows once, in time that is linear in their events.

    Every train event is a target of exactly one window, with its context before it, so no transition counts twice. A
    user's events 5, 2, 7 give the transitions 5 -> 2 and 2 -> 7 with the weight 1, and 5 -> 7 with the weight `decay`.

    Args:
        data: The train split.
        size: V.
        user_count: The number of known users. Each window of an unknown user counts as a user of its own.
        window: The greatest distance of a transition, in events.
        decay: A transition over n events has the weight decay ** (n - 1).
    """
    users, items = [np.empty(0, np.int64)], [np.empty(0, np.int32)]
    transitions = MatrixSum(size)
    for events in _chunks(data, size, user_count):
        users.append(events.user[events.is_target])
        items.append(events.item[events.is_target])
        transitions.add(_transitions(events, size, window, decay))
    known, user = np.unique(np.concatenate(users), return_inverse=True)
    pairs = user, np.concatenate(items)
    interactions = sp.csr_matrix((np.ones(len(user), np.float32), pairs), shape=(len(known), size))
    interactions.data[:] = 1  # of repeated pairs, which are summed, too
    return TrainLog(interactions, transitions.total())


class MatrixSum:
    """Adds up many sparse matrices float32 [V, V].

    A sum takes the time of both terms, so adding each matrix to the total of all before it would take time in
    proportion to the square of their number. Here terms wait until one of about their own size comes, as the digits of
    a binary counter do: each cell is added a logarithmic number of times.

    Args:
        size: V.
    """

    def __init__(self, size: int) -> None:
        self._shape = (size, size)
        self._terms: list[sp.csr_matrix] = []

    def add(self, matrix: sp.csr_matrix) -> None:
        """Adds a matrix."""
        while self._terms and self._terms[-1].nnz < 2 * matrix.nnz:
            matrix = self._terms.pop() + matrix
        self._terms.append(matrix)

    def total(self) -> sp.csr_matrix:
        """Returns the sum of all matrices."""
        total = sp.csr_matrix(self._shape, dtype=np.float32)
        while self._terms:
            total = self._terms.pop() + total
        return total


def _chunks(data: WindowData, size: int, user_count: int) -> Iterator[_Events]:
    """Yields the positive events of known items, whole windows in chunks of about `_CHUNK_EVENTS` events."""
    windows, waiting = 0, list[_Events]()
    for batch in data.event_batches(_READ_BATCH):
        values = {name: column.numpy() for name, column in batch.items()}
        waiting.append(_positives(values, windows, size, user_count))
        windows += len(values[feature_names.USER_ID])
        if sum(len(events.item) for events in waiting) >= _CHUNK_EVENTS:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(parts: list[_Events]) -> _Events:
    return _Events(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _positives(values: Mapping[str, NDArray[np.int64]], first: int, size: int, user_count: int) -> _Events:
    """Selects the positive events of known items from a batch of `WindowData.event_batches`.

    Args:
        values: The batch.
        first: The number of windows before it.
        size: V.
        user_count: The number of known users.
    """
    item = values[feature_names.ITEM_ID]
    counts = np.flatnonzero((values[feature_names.IS_POSITIVE] > 0) & (item < size))
    window = values[WindowData.ROW][counts]
    user = values[feature_names.USER_ID][window]
    window = window + first
    user = np.where(user >= user_count, user_count + window, user)
    return _Events(window, user, item[counts].astype(np.int32), values[feature_names.IS_TARGET][counts] > 0)


def _transitions(events: _Events, size: int, window: int, decay: float) -> sp.csr_matrix:
    """Counts the transitions to targets: float32 [V, V]."""
    sources, targets, weights = [], [], []
    for distance in range(1, min(window, len(events.item) - 1) + 1):
        counts = (events.window[distance:] == events.window[:-distance]) & events.is_target[distance:]
        sources.append(events.item[:-distance][counts])
        targets.append(events.item[distance:][counts])
        weights.append(np.full(len(sources[-1]), decay ** (distance - 1), np.float32))
    if not sources:
        return sp.csr_matrix((size, size), dtype=np.float32)
    pairs = np.concatenate(sources), np.concatenate(targets)
    return sp.csr_matrix((np.concatenate(weights), pairs), shape=(size, size))
