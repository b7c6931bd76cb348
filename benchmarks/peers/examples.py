"""Ingest's examples (docs/reference/data-layout.md) as arrays: events in order, targets, items seen, features."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp
import tensorflow as tf
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from config import feature_names


@dataclass(frozen=True)
class Events:
    """Events by user, then time, then the log's order; aligned arrays [E].

    Attributes:
      user: int64 in [0, U).
      item: int64 in [0, V]; V is an item outside the catalogue.
      time: int64 seconds; 0 where the log has no times.
      positive: bool, whether the event is history and retrieval target.
      label: float32, the rating; NaN where there is none.
    """

    user: np.ndarray
    item: np.ndarray
    time: np.ndarray
    positive: np.ndarray
    label: np.ndarray

    def __len__(self) -> int:
        return len(self.user)

    def __getitem__(self, rows: np.ndarray) -> "Events":
        return Events(self.user[rows], self.item[rows], self.time[rows], self.positive[rows], self.label[rows])

    def __add__(self, later: "Events") -> "Events":
        pairs = zip(vars(self).values(), vars(later).values(), strict=True)
        joined = Events(*(np.concatenate(pair) for pair in pairs))
        return joined[np.lexsort((joined.time, joined.user))]


@dataclass(frozen=True)
class Targets:
    """The target events of a split.

    Attributes:
      events: T events.
      seen: CSR bool [T, V], the items of the user before the split.
      cold: bool [T], whether the user has no train event.
    """

    events: Events
    seen: sp.csr_matrix
    cold: np.ndarray


@dataclass(frozen=True)
class Log:
    """One examples artifact.

    Attributes:
      users: The ids of U users, those of train first, in their order there.
      items: The ids of V items: the catalogue and all items of train, by falling number of positive train events.
      train, eval, test: The splits.
      user_rows, item_rows: The examples that hold the side features: one row per user of train; the split `items`.
    """

    users: pa.Array
    items: pa.Array
    train: Events
    eval: Targets
    test: Targets
    user_rows: pa.Table
    item_rows: pa.Table


def read_log(uri: str, label: str) -> Log:
    """Reads an examples artifact.

    Args:
      uri: The artifact's folder, with `Split-train`, `Split-eval`, `Split-test` and `Split-items`.
      label: The rating task whose `label_<task>` and `weight_<task>` are read; where absent, labels are NaN.

    Raises:
      FileNotFoundError, ValueError: If a split has no files or no examples.
    """
    tables = {split: read_split(uri, split) for split in (*feature_names.WINDOW_SPLITS, feature_names.ITEMS_SPLIT)}
    train, catalogue = tables["train"], tables[feature_names.ITEMS_SPLIT]
    items = _items(train, catalogue)
    users = pc.unique(_concat([_flat(tables[split], feature_names.USER_ID) for split in feature_names.WINDOW_SPLITS]))
    events = {split: _events(tables[split], users, items, label) for split in feature_names.WINDOW_SPLITS}
    return Log(
        users=users,
        items=items,
        train=_train_events(events["train"], train),
        eval=_targets(events["eval"], tables["eval"], items),
        test=_targets(events["test"], tables["test"], items),
        user_rows=train,
        item_rows=catalogue,
    )


def read_split(uri: str, split: str) -> pa.Table:
    """The examples of a split: one row each, one list column per feature.

    Raises:
      FileNotFoundError: If the split has no files.
      ValueError: If it has no examples.
    """
    files = sorted(str(path) for path in Path(uri, f"Split-{split}").glob("*.gz"))
    if not files:
        raise FileNotFoundError(f"{uri}/Split-{split}: holds no *.gz file. Give the folder of ingest's `examples`")
    batches = list(_batches(files))
    if not batches:
        raise ValueError(f"{uri}/Split-{split}: holds no examples. Give the split a share of the events")
    return pa.concat_tables(batches, promote_options="permissive").combine_chunks()


def _batches(files: list[str]) -> Iterator[pa.Table]:
    decoder = ExamplesToRecordBatchDecoder()
    for batch in tf.data.TFRecordDataset(files, "GZIP").batch(8192).as_numpy_iterator():
        yield pa.Table.from_batches([decoder.DecodeBatch(batch.tolist())])


def _items(train: pa.Table, catalogue: pa.Table) -> pa.Array:
    """All items by falling number of positive train events, then by id, both descending."""
    counted = _flat(train, feature_names.ITEM_ID).filter(
        pc.and_(
            pc.equal(_flat(train, feature_names.IS_TARGET), 1),
            pc.equal(_flat(train, feature_names.IS_POSITIVE), 1),
        )
    )
    once = pc.unique(_concat([_flat(catalogue, feature_names.CATALOGUE_ID), _flat(train, feature_names.ITEM_ID)]))
    counts = np.bincount(pc.index_in(counted, value_set=once).to_numpy(), minlength=len(once))
    table = pa.table({"id": once, "count": counts})
    return table.sort_by([("count", "descending"), ("id", "descending")])["id"].combine_chunks()


def _events(table: pa.Table, users: pa.Array, items: pa.Array, label: str) -> tuple[Events, np.ndarray]:
    """All events of all windows, and their windows."""
    item = pc.index_in(_flat(table, feature_names.ITEM_ID), value_set=items).fill_null(len(items)).to_numpy()
    window = np.repeat(np.arange(len(table)), _lengths(table, feature_names.ITEM_ID))
    user = pc.index_in(_flat(table, feature_names.USER_ID), value_set=users).to_numpy()[window]
    zeros = np.zeros(len(item))
    time = _values(table, feature_names.TIME, zeros)
    labels = _values(table, feature_names.label(label), zeros)
    weights = _values(table, feature_names.weight(label), zeros)
    return Events(
        user.astype(np.int64),
        item.astype(np.int64),
        time.astype(np.int64),
        _values(table, feature_names.IS_POSITIVE, zeros) == 1,
        np.where(weights > 0, labels, np.nan).astype(np.float32),
    ), window


def _train_events(events: tuple[Events, np.ndarray], table: pa.Table) -> Events:
    """Each train event once, where it is a target; windows of a user in the order of their targets' times."""
    every, window = events
    target = _flat(table, feature_names.IS_TARGET).to_numpy() == 1
    kept, window = every[target], window[target]
    first, last = np.zeros(len(table), np.int64), np.zeros(len(table), np.int64)
    first[window[::-1]] = kept.time[::-1]
    last[window] = kept.time
    # Stable: within a window the events stand in order already, and ties in time keep it.
    return kept[np.lexsort((last[window], first[window], kept.user))]


def _targets(events: tuple[Events, np.ndarray], table: pa.Table, items: pa.Array) -> Targets:
    every, window = events
    last = np.flatnonzero(np.r_[window[1:] != window[:-1], len(window) > 0])
    order = np.lexsort((every.time[last], every.user[last]))
    seen = _seen(table, items)
    cold = _flat(table, feature_names.IS_COLD_USER).to_numpy() == 1
    return Targets(every[last[order]], seen[order], cold[order])


def _seen(table: pa.Table, items: pa.Array) -> sp.csr_matrix:
    """What the users of windows have seen: CSR bool [T, V]. Windows that share a list hold a part of it each."""
    if feature_names.SEEN_COUNT not in table.column_names:
        return _membership(table, feature_names.SEEN_ITEM_ID, items)
    rows = np.arange(len(table))
    lengths = _lengths(table, feature_names.SEEN_ITEM_ID)
    count, start = (_first(table, name) for name in (feature_names.SEEN_COUNT, feature_names.SEEN_START))
    user = _flat(table, feature_names.USER_ID).dictionary_encode().indices.to_numpy()
    owner = np.where(count >= 0, user, len(table) + rows)  # a window without a count has a list of its own
    order = np.lexsort((start, owner))
    ends = np.cumsum(lengths)
    part = np.repeat(ends[order] - lengths[order], lengths[order]) + _within(lengths[order])
    item = pc.index_in(_flat(table, feature_names.SEEN_ITEM_ID), value_set=items).fill_null(-1).to_numpy()[part]
    _, first, own = np.unique(owner[order], return_index=True, return_inverse=True)
    list_start = np.r_[0, np.cumsum(lengths[order])][first]
    seen = np.where(count >= 0, count, lengths)
    cell = np.repeat(list_start[own[np.argsort(order)]], seen) + _within(seen)
    row, item = np.repeat(rows, seen), item[cell]
    known = item >= 0
    return sp.csr_matrix((np.ones(known.sum(), bool), (row[known], item[known])), shape=(len(table), len(items)))


def _within(lengths: np.ndarray) -> np.ndarray:
    """Counts from 0 in each of the lengths: [0, 1, 0] for [2, 1]."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def _first(table: pa.Table, feature: str) -> np.ndarray:
    """The one value of each row, -1 where it has none."""
    found = np.full(len(table), -1)
    found[_lengths(table, feature) > 0] = _flat(table, feature).to_numpy()
    return found


def _membership(table: pa.Table, feature: str, items: pa.Array) -> sp.csr_matrix:
    if feature not in table.column_names:
        return sp.csr_matrix((len(table), len(items)), dtype=bool)
    item = pc.index_in(_flat(table, feature), value_set=items)
    row = np.repeat(np.arange(len(table)), _lengths(table, feature))
    known = item.is_valid().to_numpy(zero_copy_only=False)
    item = item.fill_null(0).to_numpy()
    shape = (len(table), len(items))
    return sp.csr_matrix((np.ones(known.sum(), bool), (row[known], item[known])), shape=shape)


def _values(table: pa.Table, feature: str, missing: np.ndarray) -> np.ndarray:
    return _flat(table, feature).to_numpy() if feature in table.column_names else missing


def _flat(table: pa.Table, feature: str) -> pa.Array:
    return _concat([pc.list_flatten(chunk) for chunk in table[feature].chunks])


def _lengths(table: pa.Table, feature: str) -> np.ndarray:
    lengths = pc.list_value_length(table[feature]).fill_null(0)
    return lengths.to_numpy()


def _concat(arrays: list[pa.Array]) -> pa.Array:
    return pa.concat_arrays([array.cast(arrays[0].type) for array in arrays])


MIN_COUNT: Final = 5
"""Values of fewer rows say little; unique ones (titles) are but another id."""
BINS: Final = 10
"""Numbers are cut at so many quantiles."""


def user_features(log: Log) -> sp.csr_matrix:
    """One row per user, one column per value of a user feature: float32 [U, F]. Users without features: zeros."""
    return _features(log.user_rows, feature_names.USER_ID, feature_names.user_feature(""), log.users)


def item_features(log: Log) -> sp.csr_matrix:
    """One row per item, one column per value of a catalogue feature: float32 [V, F]. Unknown items: zeros."""
    return _features(log.item_rows, feature_names.CATALOGUE_ID, feature_names.item_feature(""), log.items)


def _features(table: pa.Table, key: str, prefix: str, ids: pa.Array) -> sp.csr_matrix:
    owner = pc.index_in(pc.list_flatten(table[key].combine_chunks()), value_set=ids).to_numpy()
    owners, first = np.unique(owner, return_index=True)  # a user's features are the same in all windows
    columns = [
        name for name in table.column_names if name.startswith(prefix) and name not in (key, feature_names.ITEM_ID)
    ]
    blocks = [_one_hot(table[name].combine_chunks().take(first), owners, len(ids)) for name in columns]
    return sp.hstack([sp.csr_matrix((len(ids), 0), dtype=np.float32), *blocks], format="csr")


def _one_hot(lists: pa.Array, rows: np.ndarray, height: int) -> sp.csr_matrix:
    row = np.repeat(rows, pc.list_value_length(lists).fill_null(0).to_numpy())
    values = pc.list_flatten(lists)
    column = _binned(values.to_numpy()) if pa.types.is_floating(values.type) else _codes(values)
    count = np.bincount(column) if len(column) else np.zeros(0, np.int64)
    matrix = sp.csr_matrix((np.ones(len(row), np.float32), (row, column)), shape=(height, len(count)))
    return matrix[:, np.flatnonzero(count >= MIN_COUNT)]


def _codes(values: pa.Array) -> np.ndarray:
    return values.dictionary_encode().indices.to_numpy()


def _binned(values: np.ndarray) -> np.ndarray:
    return np.searchsorted(np.unique(np.quantile(values, np.arange(1, BINS) / BINS)), values, "right")
