"""Transformed examples as dense windows: one row of events in time order, the newest last.

Rows are padded at the front, so that position -1 is the newest event of every row, whatever its length: the item ids
[[7], [3, 5, 8]] are laid out as [[V, V, 7], [3, 5, 8]] with the mask [[F, F, T], [T, T, T]].
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import tensorflow as tf

from config import Config, feature_names
from trainer.data.catalogue import PADDING, missing_value
from transform.features import ModelFeature

MASK = "mask"
"""The window's feature that is True on events and False on padding."""

Window = dict[str, tf.Tensor]
"""Dense features by name: `mask` bool [B, L], event features [B, L], user features [B] or [B, M]."""


@dataclass(frozen=True)
class WindowSpec:
    """What dense windows depend on.

    Attributes:
        config: names the tasks and bounds the windows' length.
        features: the model's features with form and size.
        item_count: V, which is also the index of unknown items and padding.
        user_count: U, which is also the index of unknown users.
    """

    config: Config
    features: Sequence[ModelFeature]
    item_count: int
    user_count: int


def dense_windows(features: Mapping[str, tf.SparseTensor], spec: WindowSpec) -> Window:
    """Lays transformed windows out as dense tensors.

    Args:
        features: transformed examples, [B, *] by name. Absent values become their "missing" value.
        spec: the model's features and sizes.

    Returns:
        `mask` bool [B, L]; `item_id` int64 [B, L], V where padded or unknown; `time` int64 [B, L], 0 where unknown;
        `is_positive`, `is_target` bool [B, L]; `context_*`, `outcome_*` [B, L] and `label_*`, `weight_*` float
        [B, L]; `session_*` int64 [B, L], -1 where there is none; `user_id` int64 [B]; `user_*` [B], or [B, M] with
        `PADDING` behind the last of several values. L is the longest row, `model.history.max_events` at most: the
        newest events stay.
    """
    return _windows(features, spec, slots=0)


def request_windows(features: Mapping[str, tf.SparseTensor], spec: WindowSpec) -> Window:
    """Lays requests out as dense windows whose last event has not happened yet.

    The last event's item is unknown, its outcome and label are missing. Its context and time are the row's value
    behind the history's, where there is one; else the context is missing and the time unknown. Every event of the
    history counts as positive. For example, the items [3, 5] with the times [10, 20, 90] are laid out as the items
    [3, 5, V] with the times [10, 20, 90].

    Args:
        features: transformed requests, [B, *] by name.
        spec: the model's features and sizes.

    Returns:
        As `dense_windows`.
    """
    window = _windows(features, spec, slots=1)
    item = window[feature_names.ITEM_ID]
    is_slot = tf.concat([tf.zeros_like(item[:, :-1], tf.bool), tf.ones_like(item[:, -1:], tf.bool)], axis=1)
    window[feature_names.IS_POSITIVE] = window[MASK] & ~is_slot
    window[feature_names.IS_TARGET] = is_slot
    return window


@dataclass(frozen=True)
class _Frame:
    """The dense positions of events: the event t of row b goes into the column t - lengths[b] + width.

    For example, with the lengths [1, 3] and the width 2 the only event of row 0 goes into column 1, and those of row 1
    into the columns -1 (left out), 0 and 1.

    Attributes:
        rows: int64 [], B.
        lengths: int64 [B].
        width: int64 [], L.
    """

    rows: tf.Tensor
    lengths: tf.Tensor
    width: tf.Tensor

    def dense(self, values: tf.SparseTensor | None, default: float, dtype: tf.DType) -> tf.Tensor:
        """Scatters the values [B, *] of the rows' events into [B, width], `default` elsewhere."""
        empty = tf.fill([self.rows, self.width], tf.cast(default, dtype))
        if values is None:
            return empty
        row, event = values.indices[:, 0], values.indices[:, 1]
        column = event - tf.gather(self.lengths, row) + self.width
        fits = tf.where((column >= 0) & (column < self.width))[:, 0]
        cells = tf.stack([tf.gather(row, fits), tf.gather(column, fits)], axis=1)
        return tf.tensor_scatter_nd_update(empty, cells, tf.cast(tf.gather(values.values, fits), dtype))

    def mask(self) -> tf.Tensor:
        """Returns bool [B, width], False on padding."""
        return tf.range(self.width)[tf.newaxis] >= (self.width - self.lengths)[:, tf.newaxis]


def _windows(features: Mapping[str, tf.SparseTensor], spec: WindowSpec, slots: int) -> Window:
    items = features[feature_names.ITEM_ID]
    lengths = row_lengths(items) + slots
    longest = tf.reduce_max(tf.concat([lengths, [1]], axis=0))
    frame = _Frame(items.dense_shape[0], lengths, tf.minimum(longest, spec.config.model.history.max_events))
    window = {MASK: frame.mask()}
    for name, default, dtype in _event_features(spec):
        window[name] = frame.dense(features.get(name), default, dtype)
    for name in (feature_names.IS_POSITIVE, feature_names.IS_TARGET):
        window[name] = (window[name] > 0) & window[MASK]
    return window | _user_features(features, spec, frame.rows)


def row_lengths(values: tf.SparseTensor) -> tf.Tensor:
    """Counts the values in each row: [B, *] -> int64 [B]."""
    ends = tf.math.unsorted_segment_max(values.indices[:, 1] + 1, values.indices[:, 0], values.dense_shape[0])
    return tf.maximum(ends, 0)


def _event_features(spec: WindowSpec) -> Iterator[tuple[str, float, tf.DType]]:
    """Yields name, "missing" value and dtype of every feature that has one value for each event."""
    yield feature_names.ITEM_ID, spec.item_count, tf.int64
    for name in (feature_names.TIME, feature_names.IS_POSITIVE, feature_names.IS_TARGET):
        yield name, 0, tf.int64
    for name in spec.config.label_features:
        yield name, 0, tf.float32
    for task in spec.config.sessions:
        yield feature_names.session(task), -1, tf.int64
    for feature in spec.features:
        if feature.section in ("context", "outcome"):
            yield feature.name, missing_value(feature), tf.float32 if feature.form == "number" else tf.int64


def no_user_features(features: Sequence[ModelFeature]) -> Window:
    """Returns one row of user features, all of them missing."""
    rows = tf.constant(1, tf.int64)
    return {f.name: _user_feature(None, f, rows) for f in features}


def _user_features(features: Mapping[str, tf.SparseTensor], spec: WindowSpec, rows: tf.Tensor) -> Window:
    ids = ModelFeature(feature_names.USER_ID, "user", "category", spec.user_count + 1)
    own = [ids, *(f for f in spec.features if f.section == "user")]
    return {f.name: _user_feature(features.get(f.name), f, rows) for f in own}


def _user_feature(values: tf.SparseTensor | None, feature: ModelFeature, rows: tf.Tensor) -> tf.Tensor:
    is_list = feature.form == "categories"
    dtype = tf.float32 if feature.form == "number" else tf.int64
    default = tf.cast(PADDING if is_list else missing_value(feature), dtype)
    if values is None:
        return tf.fill([rows, 1] if is_list else [rows], default)
    dense = tf.concat([tf.sparse.to_dense(values, default), tf.fill([rows, 1], default)], axis=1)
    return dense if is_list else dense[:, 0]
