"""Transformed examples on disk as batches of dense windows."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from config import feature_names
from trainer.data.batching import BatchPlan, DataSummary, LabelStatistics
from trainer.data.windows import MASK, Window, WindowSpec, dense_windows, row_lengths
from trainer.distributed.sharding import BatchShard

_CACHED_BYTES = 1 << 30
"""Files that together are smaller than this on disk are read once and kept in memory, still serialized."""
_SHUFFLED_WINDOWS = 1 << 16
_READ_BATCH = 256
_LENGTH = "length"


class WindowData:
    """The windows of one or more splits.

    Args:
        patterns: globs of gzipped TFRecord files of transformed examples.
        spec: the windows' layout.

    Attributes:
        files: their paths.
        records: the serialized windows, always in the same order.

    Raises:
        FileNotFoundError: no file matches.
    """

    def __init__(self, patterns: Sequence[str], spec: WindowSpec) -> None:
        self.files = sorted(f for pattern in patterns for f in tf.io.gfile.glob(pattern))
        if not self.files:
            raise FileNotFoundError(f"transformed examples should be at {', '.join(patterns)}: no file matches")
        self._spec = spec
        self.records = tf.data.TFRecordDataset(self.files, "GZIP", num_parallel_reads=min(4, len(self.files)))
        if sum(tf.io.gfile.stat(f).length for f in self.files) < _CACHED_BYTES:
            self.records = self.records.cache()

    def training_batches(
        self, plan: BatchPlan, seed: int, epoch: int, share: BatchShard | None = None
    ) -> tf.data.Dataset:
        """One epoch of window batches in an order that depends on seed and epoch only; the last ones may be smaller.

        Args:
            plan: how the windows are divided.
            seed: of all epochs.
            epoch: counted from 0.
            share: the parts of each batch that this process reads; the whole when missing.
        """
        records = self.records.shuffle(_SHUFFLED_WINDOWS, _epoch_seed(seed, epoch), reshuffle_each_iteration=False)
        if not plan.bounds:
            return self._own(records.batch(plan.sizes[0]), share)
        measured = records.batch(_READ_BATCH).map(self._with_lengths, num_parallel_calls=2).unbatch()
        groups = measured.bucket_by_sequence_length(lambda _, length: length, plan.bounds, plan.sizes)
        return self._own(groups.map(lambda record, _: record), share)

    def evaluation_batches(self, batch_size: int) -> tf.data.Dataset:
        """All window batches, always in the same order.

        Besides the window's features, as in the training batches: `seen_item_id` int64 [B, S], padded with V, and
        `is_cold_user` int64 [B], 0 where the split lacks it.
        """
        return self.windows_of(self.records.batch(batch_size))

    def windows_of(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """From batches of records to window batches as `evaluation_batches` says."""
        windows = batches.map(self._parse, num_parallel_calls=2, deterministic=True)
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
        # Nothing here is left to tune, and an iterator that is let go waits for its tuner: seconds, at times minutes.
        options.autotune.enabled = False
        return windows.with_options(options).prefetch(2)

    def sampling_features(self, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        """What tells the users and the newest events of records [B] apart: int64 [B] by name, -1 where absent; labels
        by their bits."""
        newest = (feature_names.ITEM_ID, feature_names.TIME, feature_names.IS_POSITIVE)
        integers = {
            n: tf.io.RaggedFeature(tf.int64) for n in (feature_names.USER_KEY, feature_names.IS_COLD_USER, *newest)
        }
        floats = {n: tf.io.RaggedFeature(tf.float32) for n in self._spec.config.label_features}
        found = tf.io.parse_example(serialized, integers | floats)
        length = {_LENGTH: tf.cast(found[feature_names.ITEM_ID].row_lengths(), tf.int64)}
        return {name: _newest(values) for name, values in found.items()} | length

    def summary(self) -> DataSummary:
        """Reads everything once."""
        sums = {name: [0.0, 0.0, 0.0] for name in self._spec.config.ranking}
        windows, targets = np.zeros([2, self._spec.config.model.history.max_events + 1], np.int64)
        for window in self.evaluation_batches(_READ_BATCH):
            length = tf.math.count_nonzero(window[MASK], axis=1).numpy()
            np.add.at(windows, length, 1)
            np.add.at(targets, length, tf.math.count_nonzero(window[feature_names.IS_TARGET], axis=1).numpy())
            for name, total in sums.items():
                for i, value in enumerate(_moments(window, name)):
                    total[i] += float(value)
        return DataSummary(windows, targets, {name: _statistics(*total) for name, total in sums.items()})

    def _own(self, batches: tf.data.Dataset, share: BatchShard | None) -> tf.data.Dataset:
        """Cut before they are parsed: a worker parses its own share only."""
        return self.windows_of(batches if share is None else share.of(batches))

    @cached_property
    def _parse(self) -> Callable[[tf.Tensor], Window]:
        """`_parsed`, traced once and not with each epoch's dataset."""
        return _traced(self._parsed)

    @cached_property
    def _with_lengths(self) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
        """`_measured`, traced where windows are divided by length."""
        return _traced(self._measured)

    def _measured(self, serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Records [B] and their windows' lengths int32 [B]."""
        items = tf.io.parse_example(serialized, {feature_names.ITEM_ID: tf.io.VarLenFeature(tf.int64)})[
            feature_names.ITEM_ID
        ]
        lengths = tf.minimum(row_lengths(items), self._spec.config.model.history.max_events)
        return serialized, tf.cast(lengths, tf.int32)

    def _parsed(self, serialized: tf.Tensor) -> Window:
        features = tf.io.parse_example(serialized, dict(_parsing_spec(self._spec)))
        window = dense_windows(features, self._spec)
        cold = tf.ensure_shape(tf.sparse.reduce_max(features[feature_names.IS_COLD_USER], axis=1), [None])
        seen = tf.sparse.to_dense(features[feature_names.SEEN_ITEM_ID], tf.constant(self._spec.item_count, tf.int64))
        return window | {feature_names.SEEN_ITEM_ID: seen, feature_names.IS_COLD_USER: cold}


def _traced(function: Callable[[tf.Tensor], Any]) -> Callable[[tf.Tensor], Any]:
    """A function of serialized records, string [B]."""
    signature = [tf.TensorSpec([None], tf.string)]
    return tf.function(function, input_signature=signature, autograph=False).get_concrete_function()


def _parsing_spec(spec: WindowSpec) -> Iterator[tuple[str, tf.io.VarLenFeature]]:
    integers = (
        feature_names.USER_ID,
        feature_names.ITEM_ID,
        feature_names.TIME,
        feature_names.IS_POSITIVE,
        feature_names.IS_TARGET,
        feature_names.SEEN_ITEM_ID,
        feature_names.IS_COLD_USER,
    )
    for name in integers:
        yield name, tf.io.VarLenFeature(tf.int64)
    for name in spec.config.label_features:
        yield name, tf.io.VarLenFeature(tf.float32)
    for task in spec.config.sessions:
        yield feature_names.session(task), tf.io.VarLenFeature(tf.int64)
    for feature in spec.features:
        if feature.section != "item":
            yield feature.name, tf.io.VarLenFeature(tf.float32 if feature.form == "number" else tf.int64)


def _newest(values: tf.RaggedTensor) -> tf.Tensor:
    """The last value of each row, -1 where there is none: int64 [B]."""
    flat = values.flat_values
    flat = tf.cast(tf.bitcast(flat, tf.int32) if flat.dtype == tf.float32 else flat, tf.int64)
    limits = values.row_limits()
    padded = tf.concat([tf.constant([-1], tf.int64), flat], axis=0)
    return tf.gather(padded, tf.where(values.row_lengths() > 0, limits, 0))


def _epoch_seed(seed: int, epoch: int) -> int:
    return (seed * 1_000_003 + epoch) & 0x7FFFFFFF


def _moments(window: Window, task: str) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    label = tf.cast(window[feature_names.label(task)], tf.float64)
    weight = tf.cast(tf.where(window[feature_names.IS_TARGET], window[feature_names.weight(task)], 0), tf.float64)
    return tuple(tf.reduce_sum(weight * label**power) for power in range(3))


def _statistics(weight: float, total: float, squares: float) -> LabelStatistics:
    if weight == 0:
        return LabelStatistics()
    mean = total / weight
    variance = max(squares / weight - mean**2, 0.0)
    return LabelStatistics(mean, variance**0.5 or 1.0)
