"""Encodes windows and catalogue rows as serialized tf.Examples, by tfx_bsl from Arrow lists."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

from config import feature_names
from pipeline.ingest.cleaning import ID
from pipeline.ingest.columns import Column, Plan
from pipeline.ingest.events import ITEM, POSITIVE, TIME
from pipeline.ingest.splits import EVAL, Events
from pipeline.ingest.values import is_valid, null_where
from pipeline.ingest.windows import NO_TARGET, Limits, Order, SeenItems, Windows, seen_items

BATCH_VALUES: Final = 1 << 19
"""The number of events and seen items encoded at once: bounds memory, not the size of an example."""
_FILL: Final = {"text": "", "number": float("nan"), "time": -1}
"""Stands for a missing value of an event."""


class WindowEncoder:
    """Encodes windows over the events of a bucket.

    Args:
      plan: The columns.
      table: The events, in the order of `order`.
      events: The users.
      order: The order whose positions windows refer to.
      limits: The limits of the windows.
      users: The user features, one row for each of `events.users`.
    """

    def __init__(
        self, plan: Plan, table: pa.Table, events: Events, order: Order, limits: Limits, users: pa.Table
    ) -> None:
        self._order, self._limits = order, limits
        self._user_ids = pa.array(events.users, pa.string())
        self._users = {column.name: optional(users[column.name], column) for column in plan.user}
        self._events = _event_features(plan, table)
        is_positive = table[POSITIVE].to_numpy()
        self._is_first = _is_first_positive(order, table[ITEM], is_positive)
        self._firsts = self._events[feature_names.ITEM_ID].filter(pa.array(self._is_first))
        self._positives = _positive_targets(order, is_positive, limits)

    def encode(self, windows: Windows) -> Iterator[bytes]:
        """Returns the windows' examples in their order."""
        is_target = windows.target != NO_TARGET
        if not is_target.any():
            for batch in _batches(windows.lengths):
                yield from _encode(self._window_features(windows.take(batch)))
            return
        seen = seen_items(self._order, windows, self._is_first, self._limits)
        for batch in _batches(windows.lengths + seen.stop - seen.first):
            some = windows.take(batch)
            yield from _encode(self._window_features(some) | self._target_features(some, seen.take(batch)))

    def _window_features(self, windows: Windows) -> dict[str, pa.Array]:
        positions, is_target = windows.positions()
        index, users = pa.array(positions), pa.array(windows.user)
        features = {feature_names.USER_ID: _single(self._user_ids.take(users))}
        features |= {name: values.take(users) for name, values in self._users.items()}
        features |= {name: _lists(windows.lengths, values.take(index)) for name, values in self._events.items()}
        features[feature_names.IS_TARGET] = _lists(windows.lengths, pa.array(is_target.astype(np.int64)))
        return features

    def _target_features(self, windows: Windows, seen: SeenItems) -> dict[str, pa.Array]:
        """Returns the features that only eval and test examples have; the seen items are ranges of `_firsts`."""
        part, counts = self._order.part[windows.target], self._order.counts[windows.user]
        is_cold = (counts[:, 0] == 0) & (self._limits.history != "own")
        shared = {feature_names.SEEN_START: seen.start, feature_names.SEEN_COUNT: seen.count}
        # Without a value in any row a feature would have no type.
        shared = shared if seen.is_shared.any() else {}
        return {
            feature_names.SEEN_ITEM_ID: _lists(
                seen.stop - seen.first, self._firsts.take(pa.array(_ranges(seen.first, seen.stop)))
            ),
            feature_names.IS_COLD_USER: _single(pa.array(is_cold.astype(np.int64))),
            feature_names.TARGET_COUNT: _single(pa.array(self._positives[windows.user, part])),
            **{name: _single_where(seen.is_shared, values) for name, values in shared.items()},
            feature_names.SPLIT: _single(pa.array(np.where(part == EVAL, "eval", "test"), pa.string())),
        }


def encode_items(items: pa.Table, columns: Sequence[Column]) -> Iterator[bytes]:
    """Returns the catalogue's examples: `id` and the features of each row."""
    features = {feature_names.CATALOGUE_ID: _single(items[ID].combine_chunks())}
    features |= {column.name: optional(items[column.name], column) for column in columns}
    return iter(_encode(features))


def optional(values: pa.ChunkedArray, column: Column) -> pa.Array:
    """Returns a feature of a user or item as lists; null, so that the example lacks it, where the value is missing."""
    array = values.combine_chunks()
    if column.kind == "list":
        return array
    is_present = is_valid(array)
    return null_where(_lists(is_present.astype(np.int64), array.drop_null()), ~is_present)


def _event_features(plan: Plan, table: pa.Table) -> dict[str, pa.Array]:
    """Returns the features that have one value for each event, missing ones filled."""
    columns = {feature_names.ITEM_ID: table[ITEM], feature_names.IS_POSITIVE: pc.cast(table[POSITIVE], pa.int64())}
    if plan.config.data.interactions.time is not None:
        columns[feature_names.TIME] = table[TIME]
    for column in plan.event:
        columns[column.name] = pc.fill_null(table[column.name], _FILL[column.kind])
    for name in plan.config.label_features:
        columns[name] = table[name]
    return {name: values.combine_chunks() for name, values in columns.items()}


def _is_first_positive(order: Order, items: pa.ChunkedArray, is_positive: np.ndarray) -> np.ndarray:
    """Returns whether each position holds its user's first positive with its item: bool [n]."""
    encoded = items.combine_chunks().dictionary_encode()
    keys = order.user * (len(encoded.dictionary) + 1) + encoded.indices.to_numpy()
    positions = np.flatnonzero(is_positive)
    is_first = np.zeros(len(keys), bool)
    is_first[positions[np.unique(keys[positions], return_index=True)[1]]] = True
    return is_first


def _positive_targets(order: Order, is_positive: np.ndarray, limits: Limits) -> np.ndarray:
    """Returns the number of each user's positives by split, without those that are only history: int64 [U, 3]."""
    is_target = is_positive.copy()
    if limits.history == "own":
        is_target[order.first[:-1]] = False
    key = order.user * 3 + order.part
    return np.bincount(key[is_target], minlength=3 * (len(order.first) - 1)).reshape(-1, 3)


def _batches(values: np.ndarray) -> Iterator[slice]:
    """Returns slices of consecutive examples with about `BATCH_VALUES` values each."""
    group = np.cumsum(values) // BATCH_VALUES
    ends = [*np.flatnonzero(np.diff(group)) + 1, len(values)] if len(values) else []
    for start, stop in zip([0, *ends][:-1], ends, strict=True):
        yield slice(start, stop)


def _ranges(start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Returns the numbers of all ranges: [2, 3, 7] for the starts [2, 7] and the stops [4, 8]."""
    lengths = stop - start
    return np.arange(lengths.sum()) + np.repeat(start - np.cumsum(lengths) + lengths, lengths)


def _lists(lengths: np.ndarray, values: pa.Array) -> pa.Array:
    """Returns the values as consecutive lists of the lengths."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return pa.LargeListArray.from_arrays(pa.array(offsets), values)


def _single(values: pa.Array) -> pa.Array:
    return _lists(np.ones(len(values), np.int64), values)


def _single_where(is_present: np.ndarray, values: np.ndarray) -> pa.Array:
    """Returns lists of one value; null, so that the example lacks the feature, where none is present."""
    return null_where(_lists(is_present.astype(np.int64), pa.array(values[is_present])), ~is_present)


def _encode(features: dict[str, pa.Array]) -> list[bytes]:
    arrays = list(features.values())
    for index, lists in enumerate(arrays):
        if pa.types.is_string(lists.type.value_type):  # the encoder takes bytes alone
            make = pa.large_list if pa.types.is_large_list(lists.type) else pa.list_
            arrays[index] = lists.cast(make(pa.binary()))
    return RecordBatchToExamplesEncoder().encode(pa.RecordBatch.from_arrays(arrays, list(features)))
