"""Parses requests, serialized tf.Examples or plain tensors, into the model's dense windows."""

from collections.abc import Collection
from typing import NamedTuple

import tensorflow as tf
import tensorflow_transform as tft

from config import feature_names
from trainer.data.windows import Window, WindowSpec, request_windows, row_lengths
from trainer.export.signatures.inputs import Extras, Limits, absent, extra_inputs, parsing_specs
from trainer.export.user_snapshot import SnapshotTable
from transform.ids import item_index_table

Features = dict[str, tf.SparseTensor]

_EVENT_NAMES = frozenset({feature_names.ITEM_ID, feature_names.TIME})
_EVENT_PREFIXES = (feature_names.user_feature(""), feature_names.context_feature(""), feature_names.outcome_feature(""))


class Request(NamedTuple):
    """A batch of requests.

    Attributes:
        window: as `trainer.data.windows.request_windows`.
        exclude: int64 [B, E], items that are not to be recommended; V pads.
        k: int32 [B], in [1, max_k].
        extras: the optional inputs by name.
    """

    window: Window
    exclude: tf.Tensor
    k: tf.Tensor
    extras: Extras


class Candidates(NamedTuple):
    """A batch of requests for given items.

    Attributes:
        window: as `trainer.data.windows.request_windows`.
        ids: string [B, N], in each request's order; "" pads.
        item: int64 [B, N], their indexes; V for an unknown one and padding.
        count: int32 [B], the number of each request's candidates.
    """

    window: Window
    ids: tf.Tensor
    item: tf.Tensor
    count: tf.Tensor


class RequestReader:
    """Parses requests, applies the Transform graph and lays the windows out.

    `transform` and `item_index` own lookup tables: the exported object must track both.

    Args:
        tft_output: the transform graph.
        spec: the model's features and sizes.
        snapshot: completes requests that bring a user id alone; None for none.

    Raises:
        ValueError: a raw feature is of fixed length. A request may lack any feature.
    """

    def __init__(
        self, tft_output: tft.TFTransformOutput, spec: WindowSpec, snapshot: SnapshotTable | None = None
    ) -> None:
        self.transform = tft_output.transform_features_layer()
        self.item_index = item_index_table(tft_output)
        self._spec = spec
        self._snapshot = snapshot
        self._extras = extra_inputs(spec.config)
        self._limits = Limits(spec.config.serving)
        self._raw = tft_output.raw_feature_spec()
        fixed = sorted(name for name, kind in self._raw.items() if not isinstance(kind, tf.io.VarLenFeature))
        if fixed:
            raise ValueError(
                "raw features should have variable length (a schema without shapes: SchemaGen's "
                "`infer_feature_shape=False`), because a request may lack them. Received fixed ones: "
                f"{', '.join(fixed)}"
            )

    def raw(self, examples: tf.Tensor, also: Collection[str] = ()) -> Features:
        """Parses the raw features of users and events, and those of `also`: string [B] -> by name [B, *]."""
        names = {n for n in self._raw if n in _EVENT_NAMES or n.startswith(_EVENT_PREFIXES) or n in also}
        spec = {name: kind for name, kind in self._raw.items() if name in names}
        own = {
            feature_names.K: tf.io.VarLenFeature(tf.int64),
            feature_names.EXCLUDE_ITEM_ID: tf.io.VarLenFeature(tf.string),
            feature_names.CANDIDATE_ITEM_ID: tf.io.VarLenFeature(tf.string),
        }
        own |= parsing_specs(self._extras)
        return tf.io.parse_example(examples, spec | {name: own[name] for name in also if name in own})

    def features(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answers the signature `request_features`: string [B] -> every feature that a request may bring.

        Returns:
            [B, *] by name, with `""`, NaN or 0 behind a row's last value.
        """
        also = (feature_names.K, feature_names.EXCLUDE_ITEM_ID, feature_names.CANDIDATE_ITEM_ID, *self._extras)
        return {n: tf.sparse.to_dense(v, absent(v.dtype)) for n, v in self.raw(examples, also).items()}

    def model_features(self, raw: Features) -> Features:
        """Applies the Transform graph to raw features; those that `raw` lacks are empty, unknown ones are left out."""
        rows = raw[feature_names.ITEM_ID].dense_shape[0]
        return self.transform({n: raw[n] if n in raw else _empty(rows, kind.dtype) for n, kind in self._raw.items()})

    def from_examples(self, examples: tf.Tensor) -> Request:
        """Parses requests from serialized tf.Examples, string [B]."""
        also = (feature_names.K, feature_names.EXCLUDE_ITEM_ID, *self._extras)
        raw = self.raw(self._limits.rows(examples), also)
        k = first_value(raw.pop(feature_names.K), 0)
        extras = {name: self._dense(name, raw.pop(name)) for name in self._extras}
        exclude = self._limits.exclusions(raw.pop(feature_names.EXCLUDE_ITEM_ID), feature_names.EXCLUDE_ITEM_ID)
        return self._request(raw, tf.sparse.to_dense(exclude, ""), k, extras)

    def candidates(self, examples: tf.Tensor) -> Candidates:
        """Parses requests with candidates from serialized tf.Examples, string [B]."""
        raw = self.raw(self._limits.rows(examples), also=(feature_names.CANDIDATE_ITEM_ID,))
        candidates = self._limits.candidates(raw.pop(feature_names.CANDIDATE_ITEM_ID), feature_names.CANDIDATE_ITEM_ID)
        ids, count = tf.sparse.to_dense(candidates, ""), tf.cast(row_lengths(candidates), tf.int32)
        return Candidates(self.window(raw), ids, self.item_index.lookup(ids), count)

    def history(self, examples: tf.Tensor) -> Window:
        """Parses the windows alone from serialized tf.Examples, string [B]."""
        return self.window(self.raw(self._limits.rows(examples)))

    def items(self, item_id: tf.Tensor) -> tf.Tensor:
        """Looks item ids up: string [B] -> int64 [B], V for an unknown one."""
        return self.item_index.lookup(self._limits.embedded(item_id, feature_names.ITEM_ID))

    def window(self, raw: Features) -> Window:
        """Makes the windows from the requests' raw features."""
        return request_windows(self._completed_features(raw), self._spec)

    def from_tensors(
        self,
        user_id: tf.Tensor,
        item_id: tf.Tensor,
        time: tf.Tensor,
        request_time: tf.Tensor,
        exclude_item_id: tf.Tensor,
        k: tf.Tensor,
        *extras: tf.Tensor,
    ) -> Request:
        """Parses requests from plain tensors, whose types and shapes are those of the signature `recommend_tensors`.

        The request's own time goes behind the times of the history, as in a tf.Example: the items [[a, b], [c, ""]]
        with the times [[1, 2], [3, 0]] and the request times [9, 8] have the times [[1, 2, 9], [3, 8]].
        """
        item_id = self._limits.rows(item_id)
        exclude_item_id = self._limits.exclusions(exclude_item_id, feature_names.EXCLUDE_ITEM_ID)
        own = dict(zip(self._extras, extras, strict=True))
        own |= {name: self._limits.candidates(v, name) for name, v in own.items() if v.shape.rank == 2}
        is_event = item_id != ""
        is_moment = tf.pad(is_event, [[0, 0], [0, 1]])
        count = tf.reduce_sum(tf.cast(is_event, tf.int32), axis=1, keepdims=True)
        is_request = tf.range(tf.shape(is_moment)[1]) == count
        moments = tf.where(is_request, request_time[:, tf.newaxis], tf.pad(time, [[0, 0], [0, 1]]))
        is_moment |= is_request & (moments > 0)
        raw = {
            feature_names.USER_ID: _sparse(user_id[:, tf.newaxis], user_id[:, tf.newaxis] != ""),
            feature_names.ITEM_ID: _sparse(item_id, is_event),
            feature_names.TIME: _sparse(moments, is_moment),
        }
        clock = _sparse(tf.where(moments > 0, moments, -1), is_moment)
        raw |= dict.fromkeys(self._spec.config.clock_features, clock)
        return self._request(raw, exclude_item_id, k, own)

    def clocks(self, time: tf.Tensor) -> Window:
        """Computes the context features of a time: int64 [B] seconds, 0 where unknown -> by name [B]."""
        names = self._spec.config.clock_features
        if not names:
            return {}
        raw = {feature_names.ITEM_ID: _empty(tf.shape(time, tf.int64)[0], tf.string)}
        moment = tf.where(time > 0, time, -1)[:, tf.newaxis]
        raw |= dict.fromkeys(names, _sparse(moment, tf.ones_like(moment, tf.bool)))
        features = self.model_features(raw)
        return {name: tf.sparse.to_dense(features[name])[:, 0] for name in names}

    def _request(self, raw: Features, exclude_item_id: tf.Tensor, k: tf.Tensor, extras: Extras) -> Request:
        features = self._completed_features(raw)
        exclude = self.item_index.lookup(exclude_item_id)
        serving = self._spec.config.serving
        if serving.exclude_history:
            history = newest_values(features[feature_names.ITEM_ID], serving.max_exclusions)
            exclude = tf.concat([tf.sparse.to_dense(history, self._spec.item_count), exclude], axis=1)
        # Clamped with 64 bits: a cast to 32 bits would turn a large number into another one.
        k = tf.minimum(tf.where(k > 0, k, tf.cast(serving.default_k, k.dtype)), serving.max_k)
        return Request(request_windows(features, self._spec), exclude, tf.cast(k, tf.int32), extras)

    def _completed_features(self, raw: Features) -> Features:
        features = self.model_features(raw)
        return features if self._snapshot is None else self._snapshot.completed(features)

    def _dense(self, name: str, values: tf.SparseTensor) -> tf.Tensor:
        """Converts parsed values to the plain tensor of the optional input `name`."""
        spec = self._extras[name]
        if spec.shape.rank == 2:
            return tf.sparse.to_dense(self._limits.candidates(values, name), absent(spec.dtype))
        first = first_value(values, absent(spec.dtype))
        if spec.dtype == tf.int32:
            first = tf.clip_by_value(first, tf.int32.min, tf.int32.max)
        return tf.cast(first, spec.dtype)


def first_value(values: tf.SparseTensor, default: float | str) -> tf.Tensor:
    """Returns each row's first value, `default` where there is none: [B, *] -> [B]."""
    dense = tf.sparse.to_dense(values, tf.cast(default, values.dtype))
    return tf.pad(dense, [[0, 0], [0, 1]], constant_values=tf.cast(default, values.dtype))[:, 0]


def newest_values(values: tf.SparseTensor, most: int) -> tf.SparseTensor:
    """Keeps the last `most` values of each row: with `most` = 2, [[1, 2, 3], [4]] -> [[2, 3], [4]].

    Padded to the longest row of a batch, longer ones would take their memory for every row.
    """
    row, position = values.indices[:, 0], values.indices[:, 1]
    position -= tf.gather(tf.maximum(row_lengths(values) - most, 0), row)
    kept = tf.where(position >= 0)[:, 0]
    indices = tf.stack([tf.gather(row, kept), tf.gather(position, kept)], axis=1)
    shape = tf.minimum(values.dense_shape, [values.dense_shape.dtype.max, most])
    return tf.SparseTensor(indices, tf.gather(values.values, kept), shape)


def _empty(rows: tf.Tensor, dtype: tf.DType) -> tf.SparseTensor:
    return tf.SparseTensor(tf.zeros([0, 2], tf.int64), tf.zeros([0], dtype), tf.stack([rows, 0]))


def _sparse(values: tf.Tensor, is_value: tf.Tensor) -> tf.SparseTensor:
    """Keeps the marked values of each row, moved to its start: [[5, 6, 7]], [[F, T, T]] -> the sparse row [6, 7]."""
    positions = tf.where(is_value)
    order = tf.gather_nd(tf.cumsum(tf.cast(is_value, tf.int64), axis=1, exclusive=True), positions)
    indices = tf.stack([positions[:, 0], order], axis=1)
    return tf.SparseTensor(indices, tf.gather_nd(values, positions), tf.shape(values, tf.int64))
