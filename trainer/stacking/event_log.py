"""The train events as arrays."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from config import feature_names
from trainer.data.dataset import WindowData
from trainer.data.windows import MASK, Window

_READ_BATCH = 256


class TrainLog(NamedTuple):
    """What neighbourhoods are made of.

    Attributes:
        users: float32 [U, V], 1 where a user has an item.
        followed: float32 [V, V], how often the item of the column followed that of the row, nearer counting more.
    """

    users: sp.csr_matrix
    followed: sp.csr_matrix


class _Events(NamedTuple):
    """Positive events of known items by row and time: aligned arrays [E]."""

    row: NDArray[np.int64]
    user: NDArray[np.int64]
    item: NDArray[np.int64]
    is_target: NDArray[np.bool_]


def read_log(data: WindowData, size: int, user_count: int, window: int, decay: float) -> TrainLog:
    """Reads all windows once.

    Every train event is a target of one window, with its context before it; so no pair counts twice.

    Args:
        data: the train split.
        size: V.
        user_count: the known users. Each window of an unknown one counts as a user of its own.
        window: the greatest distance at which an event still follows another.
        decay: an event at distance n counts decay ** (n - 1).
    """
    users, items = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    followed, windows = sp.csr_matrix((size, size), dtype=np.float32), 0
    for events in _batches(data, size):
        own = events.user >= user_count
        user = np.where(own, user_count + windows + events.row, events.user)
        windows += int(events.row.max(initial=-1)) + 1
        users.append(user[events.is_target])
        items.append(events.item[events.is_target])
        followed += _followed(events, size, window, decay)
    return TrainLog(_incidence(np.concatenate(users), np.concatenate(items), size), followed)


def _batches(data: WindowData, size: int) -> Iterator[_Events]:
    for window in data.evaluation_batches(_READ_BATCH):
        yield _events({name: values.numpy() for name, values in window.items()}, size)


def _events(window: Window, size: int) -> _Events:
    item = window[feature_names.ITEM_ID]
    row, position = np.nonzero(window[MASK] & window[feature_names.IS_POSITIVE] & (item < size))
    return _Events(
        row, window[feature_names.USER_ID][row], item[row, position], window[feature_names.IS_TARGET][row, position]
    )


def _followed(events: _Events, size: int, window: int, decay: float) -> sp.csr_matrix:
    before, after, weight = [], [], []
    for distance in range(1, min(window, len(events.row) - 1) + 1):
        counts = (events.row[distance:] == events.row[:-distance]) & events.is_target[distance:]
        before.append(events.item[:-distance][counts])
        after.append(events.item[distance:][counts])
        weight.append(np.full(len(before[-1]), decay ** (distance - 1), np.float32))
    if not before:
        return sp.csr_matrix((size, size), dtype=np.float32)
    pairs = np.concatenate(before), np.concatenate(after)
    return sp.csr_matrix((np.concatenate(weight), pairs), shape=(size, size))


def _incidence(user: NDArray[np.int64], item: NDArray[np.int64], size: int) -> sp.csr_matrix:
    known, row = np.unique(user, return_inverse=True)
    users = sp.csr_matrix((np.ones(len(row), np.float32), (row, item)), shape=(len(known), size))
    users.data[:] = 1
    return users
