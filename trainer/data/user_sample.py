"""The eval windows that training chooses by: those of a random sample of users, stratified by warm and cold."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from config import Config, feature_names
from trainer.data.dataset import WindowData
from trainer.data.seen_lists import OWN, PartCollector, Parts, SeenLists

WINDOWS: Final = 8192
"""About so many windows are sampled: evaluating them takes less time than an epoch of a large log."""
COMPARED: Final = 10
"""Windows of each user where a task compares a user's windows with each other."""
_SCAN_BATCH: Final = 1024
_Keys = NDArray[np.uint64]


@dataclass(frozen=True)
class Coverage:
    """How much of its split a sample holds.

    Attributes:
        warm, cold: the numbers of sampled users with and without train events.
        windows: the number of sampled windows.
        all_users, all_windows: the numbers of users and windows of the split.
    """

    warm: int
    cold: int
    windows: int
    all_users: int
    all_windows: int

    def __str__(self) -> str:
        """Formats as `5,120 of 30,000 users (900 warm, 4,220 cold), 5,120 windows`."""
        users = f"{self.warm + self.cold:,}" + (f" of {self.all_users:,}" if self.all_users > self.users else "")
        return f"{users} users ({self.warm:,} warm, {self.cold:,} cold), {self.windows:,} windows"

    @property
    def users(self) -> int:
        """Returns the number of sampled users."""
        return self.warm + self.cold


class UserSample:
    """Windows of a split by user, which do not depend on the order and number of the files that hold them.

    Args:
        data: the split.
        records: the N serialized windows.
        user: int64 [N], the users of the windows, in [0, n).
        positives: float64 [n], the number of the users' positive targets in the whole split, sampled or not.
        coverage: the size of the sample.
        lists: what the users have seen, where their windows share a list.
        count: int64 [N], the number of the list's items that count; `seen_lists.OWN` for windows that share none.
    """

    def __init__(
        self,
        data: WindowData,
        records: Sequence[bytes],
        user: NDArray[np.int64],
        positives: NDArray[np.float64],
        coverage: Coverage,
        lists: SeenLists | None = None,
        count: NDArray[np.int64] | None = None,
    ) -> None:
        self._lists = lists
        self._count = np.full(len(user), OWN) if count is None else count
        self.user = user
        self.positives = positives
        self.coverage = coverage
        self._data = data
        self._records = list(records)

    def batches(self, size: int) -> tf.data.Dataset:
        """Returns window batches as those of `WindowData.evaluation_batches`, in the order of `user`."""
        windows = self._data.windows_of(self._serialized().batch(size))
        if self._lists is None or not len(self._lists.items):
            return windows
        of_lists = tf.data.Dataset.from_tensor_slices((self.user, self._count)).batch(size)
        complete = partial(self._lists.completed, padding=self._data.item_count)
        joined = tf.data.Dataset.zip(windows, of_lists).map(lambda window, lists: complete(window, *lists))
        return joined.with_options(windows.options()).prefetch(2)

    def first(self, windows: int) -> "UserSample":
        """Returns the first users with so many windows at most, one user at least: a random part of the sample."""
        if len(self.user) <= windows:
            return self
        users = max(int(self.user[windows]), 1)
        kept = int(np.searchsorted(self.user, users))
        return self._taken(np.arange(kept), self.positives[:users], replace(self.coverage, windows=kept))

    def by_time(self) -> "UserSample":
        """Returns the same windows in the order of their newest events' times."""
        batches = self._serialized().batch(_SCAN_BATCH)
        parts = [self._data.sampling_features(batch)[feature_names.TIME] for batch in batches]
        order = np.argsort(np.concatenate([np.zeros(0, np.int64), *parts]), kind="stable")
        return self._taken(order, self.positives, self.coverage)

    def _serialized(self) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensor_slices(tf.constant(self._records, tf.string, [len(self._records)]))

    def _taken(self, rows: NDArray[np.int64], positives: NDArray[np.float64], coverage: Coverage) -> "UserSample":
        """Returns the windows at these positions, in their order."""
        records = [self._records[row] for row in rows]
        return UserSample(self._data, records, self.user[rows], positives, coverage, self._lists, self._count[rows])


def eval_sample(data: WindowData, config: Config) -> UserSample:
    """Samples the eval split for early stopping and all other choices of training."""
    is_compared = any(task.kind in ("pairwise", "listwise") for task in config.tasks.values())
    return sample_users(data, WINDOWS, config.training.seed, COMPARED if is_compared else 1)


def sample_users(data: WindowData, windows: int, seed: int, per_user: int = 1) -> UserSample:
    """Draws users, and of each as many windows as fit.

    Where the split has too many windows, the number of windows of each user is capped. Where that does not suffice,
    users are drawn, the same share of warm and of cold ones (stratified sampling with proportional allocation; Cochran,
    "Sampling techniques", 1977). The draw is by hashes of the seed and of what the windows hold, so every process draws
    the same. The split is read twice; 18 bytes of each window and the sample itself are kept in memory.

    For example, of users with 100, 5, 100 and 20 windows a sample of 50 windows has 15, 5, 15 and 15.

    Args:
        data: the split.
        windows: the size of the sample, about this many at most.
        seed: the seed of the draws.
        per_user: the smallest cap on the windows of a user.
    """
    scan = _scan(data)
    chosen = choose_windows(scan, windows, seed, per_user)
    return _read(data, scan, chosen)


class Scan(NamedTuple):
    """What is kept of each of the W windows of a split, in the order of its files.

    Attributes:
        user: uint64 [W], the hash of the user; for a window that names none, the window's own.
        window: uint64 [W], the hash of the window.
        is_cold: bool [W], whether the user has no train event.
        is_positive: bool [W], whether the target counts for retrieval.
    """

    user: _Keys
    window: _Keys
    is_cold: NDArray[np.bool_]
    is_positive: NDArray[np.bool_]


class Chosen(NamedTuple):
    """The N chosen windows of n users, in the order of their hashes.

    Attributes:
        window: int64 [N], the windows' positions in the scan.
        user, positives, coverage: as in `UserSample`.
    """

    window: NDArray[np.int64]
    user: NDArray[np.int64]
    positives: NDArray[np.float64]
    coverage: Coverage


def choose_windows(scan: Scan, windows: int, seed: int, per_user: int = 1) -> Chosen:
    """Chooses the windows of `sample_users`."""
    key, first, user, count = np.unique(scan.user, return_index=True, return_inverse=True, return_counts=True)
    is_cold, draw = scan.is_cold[first], _mixed(key, seed)
    taken = _drawn_users(np.minimum(count, per_user), is_cold, draw, windows)
    most = _most_windows(count[taken], windows, per_user)
    # By the user's hash, then by the window's: the order does not depend on that of the files.
    order = np.lexsort((_mixed(scan.window, seed), key[user], draw[user]))
    order = order[taken[user[order]]]
    starts = np.flatnonzero(np.diff(user[order], prepend=-1))
    within = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    kept = order[within < most]
    _, first_kept, own = np.unique(draw[user[kept]], return_index=True, return_inverse=True)
    positives = np.bincount(user, scan.is_positive, len(key))[user[kept[first_kept]]].astype(np.float64)
    cold = int(is_cold[taken].sum())
    coverage = Coverage(int(taken.sum()) - cold, cold, len(kept), len(key), len(user))
    return Chosen(kept, own.astype(np.int64), positives, coverage)


def _drawn_users(count: NDArray[np.int64], is_cold: NDArray[np.bool_], draw: _Keys, windows: int) -> NDArray[np.bool_]:
    """Marks drawn users, bool [U]: as large a share of cold and of warm ones as has about `windows` windows in all."""
    share = min(1.0, windows / max(int(count.sum()), 1))
    taken = np.zeros(len(count), np.bool_)
    for kind in (is_cold, ~is_cold):
        users = np.flatnonzero(kind)
        size = max(round(share * len(users)), min(len(users), 1))
        taken[users[np.argsort(draw[users], kind="stable")[:size]]] = True
    return taken


def _most_windows(count: NDArray[np.int64], windows: int, per_user: int) -> int:
    """Finds by bisection the largest cap, `per_user` at least, with at most `windows` windows in all."""
    low, high = per_user, max(int(count.max(initial=per_user)), per_user)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if np.minimum(count, middle).sum() <= windows else (low, middle - 1)
    return low


def _read(data: WindowData, scan: Scan, chosen: Chosen) -> UserSample:
    """Reads the chosen windows, and of the users' other windows the parts of what the users have seen."""
    position = np.full(len(scan.user), -1)
    position[chosen.window] = np.arange(len(chosen.window))
    records, count = [b""] * len(chosen.window), np.full(len(chosen.window), OWN)
    parts = PartCollector()
    rows = tf.data.Dataset.from_tensor_slices((position, _owners(scan, chosen)))
    every = tf.data.Dataset.zip(rows, data.records).filter(lambda row, _: row[1] >= 0)
    for (index, user), serialized in every.batch(_SCAN_BATCH):
        place, record, found = index.numpy(), serialized.numpy(), Parts.parsed(serialized)
        parts.add(user.numpy(), found)
        count[place[place >= 0]] = found.count.numpy()[place >= 0]
        for row in np.flatnonzero(place >= 0):
            records[place[row]] = record[row]
    lists = parts.lists(len(chosen.positives))
    return UserSample(data, records, chosen.user, chosen.positives, chosen.coverage, lists, count)


def _owners(scan: Scan, chosen: Chosen) -> NDArray[np.int64]:
    """Returns the sampled user of each window of the split: int64 [W] in [0, n), -1 for the windows of others."""
    keys, first = np.unique(scan.user[chosen.window], return_index=True)
    if not len(keys):
        return np.full(len(scan.user), -1)
    found = np.minimum(np.searchsorted(keys, scan.user), len(keys) - 1)
    return np.where(keys[found] == scan.user, chosen.user[first[found]], -1)


def _scan(data: WindowData) -> Scan:
    found = [_keys(batch) for batch in data.records.batch(_SCAN_BATCH).map(data.sampling_features)]
    if not found:
        none = np.zeros(0, np.uint64)
        return Scan(none, none, none.astype(np.bool_), none.astype(np.bool_))
    return Scan(*(np.concatenate(columns) for columns in zip(*found, strict=True)))


def _keys(batch: dict[str, tf.Tensor]) -> tuple[_Keys, _Keys, NDArray[np.bool_], NDArray[np.bool_]]:
    columns = {name: values.numpy() for name, values in batch.items()}
    is_cold, is_positive = columns.pop(feature_names.IS_COLD_USER) > 0, columns[feature_names.IS_POSITIVE] > 0
    window = np.zeros(len(is_cold), np.uint64)
    for values in columns.values():
        window = _mixed(window ^ values.view(np.uint64), 0)
    user = columns[feature_names.USER_KEY]
    return np.where(user >= 0, user.view(np.uint64), window), window, is_cold, is_positive


def _mixed(key: _Keys, seed: int) -> _Keys:
    """Hashes keys by the finalizer of SplitMix64.

    See Steele et al., "Fast splittable pseudorandom number generators" (2014).
    """
    step = np.uint64((0x9E3779B97F4A7C15 * (seed + 1)) & 0xFFFFFFFFFFFFFFFF)
    mixed = key + step
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))
