"""Transformed examples on disk as batches of dense windows."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from config import feature_names
from trainer.data.batching import BatchPlan, DataSummary, LabelStatistics
from trainer.data.ragged import newest_values, values_at
from trainer.data.shared_records import SharedRecords, interleaved
from trainer.data.windows import MASK, Window, WindowSpec, dense_windows
from trainer.distributed.sharding import SHARED, WorkerShare, file_owners

_CACHED_BYTES = 1 << 30
"""Files that are together smaller than this on disk are read once and kept in memory, still serialized."""
_SHUFFLED_WINDOWS = 1 << 16
_READ_BATCH = 256
_LENGTH = "length"
_INTEGERS = (
    feature_names.USER_ID,
    feature_names.ITEM_ID,
    feature_names.TIME,
    feature_names.IS_POSITIVE,
    feature_names.IS_TARGET,
    feature_names.SEEN_ITEM_ID,
    feature_names.IS_COLD_USER,
)


class WindowData:
    """The windows of one or more splits.

    Args:
        patterns: globs of gzipped TFRecord files of transformed examples.
        spec: the model's features and sizes.
        share: where several workers train, which of them this is: `training_batches` and `summary` then read its own
            files alone, and the others the rest. All call both at the same points.

    Attributes:
        files: the paths of the files that match.
        records: the serialized windows, always in the same order.
        item_count: V, the index of unknown items.

    Raises:
        FileNotFoundError: no file matches.
    """

    ROW = "row"
    """The feature of `event_batches` that counts the windows of a batch."""

    def __init__(self, patterns: Sequence[str], spec: WindowSpec, share: WorkerShare | None = None) -> None:
        self.files = sorted(f for pattern in patterns for f in tf.io.gfile.glob(pattern))
        if not self.files:
            raise FileNotFoundError(f"transformed examples should be at {', '.join(patterns)}: no file matches")
        self._spec = spec
        self.item_count = spec.item_count
        self.records = interleaved(
            tf.data.Dataset.from_tensor_slices(self.files), lambda file: tf.data.TFRecordDataset(file, "GZIP")
        )
        self._sizes = [tf.io.gfile.stat(f).length for f in self.files]
        size = sum(self._sizes)
        if size < _CACHED_BYTES:
            self.records = self.records.cache()
        self._share = share
        self._shared = SharedRecords(self.files, share, size // share.workers < _CACHED_BYTES) if share else None

    def training_batches(
        self, plan: BatchPlan, seed: int, epoch: int, done: int = 0, steps: int = -1
    ) -> tf.data.Dataset:
        """Returns one epoch of window batches, in an order that depends on seed and epoch only.

        Args:
            plan: the groups and batch sizes.
            seed: the seed of all epochs.
            epoch: counted from 0.
            done: the number of batches at the beginning of the epoch that are left out.
            steps: the number of batches that follow; -1 for all.

        Returns:
            Windows [B]; with a share this worker's rows of them, in as many parts as it has replicas.
        """
        records = self.records if self._shared is None else self._shared.dataset
        records = records.shuffle(_SHUFFLED_WINDOWS, _epoch_seed(seed, epoch), reshuffle_each_iteration=False)
        batches = self._batched(records, plan, has_lengths=self._shared is not None).skip(done).take(steps)
        return self.windows_of(batches if self._share is None else self._share.split(batches))

    def endless_batches(self, plan: BatchPlan, seed: int, worker: tf.Tensor, workers: int) -> tf.data.Dataset:
        """Returns window batches without end, of the files of one of several workers that do not wait for each other.

        Batches are of the sizes of the plan, and all full. Called inside a function that runs on the worker.

        Args:
            plan: the groups and batch sizes.
            seed: of the order, which is another in each pass over the files.
            worker: int scalar, which worker this is, counted from 0.
            workers: their number.
        """
        owners = file_owners(self._sizes, workers)
        is_divided = SHARED not in owners
        own = tf.boolean_mask(tf.constant(self.files), owners == tf.cast(worker, tf.int64))
        files = tf.data.Dataset.from_tensor_slices(own if is_divided else self.files)
        records = interleaved(files, lambda file: tf.data.TFRecordDataset(file, "GZIP"))
        if not is_divided:
            records = records.shard(workers, tf.cast(worker, tf.int64))
        if sum(self._sizes) // workers < _CACHED_BYTES:
            records = records.cache()
        records = records.shuffle(_SHUFFLED_WINDOWS, seed, reshuffle_each_iteration=True).repeat()
        return self.windows_of(self._batched(records, plan))

    def _batched(self, records: tf.data.Dataset, plan: BatchPlan, has_lengths: bool = False) -> tf.data.Dataset:
        """Makes batches of serialized windows, string [n], of records with or without the windows' lengths."""
        if plan.bounds and not has_lengths:
            records = records.batch(_READ_BATCH).map(self._with_lengths, num_parallel_calls=2).unbatch()
        if plan.bounds:
            records = records.bucket_by_sequence_length(lambda _, length: length, plan.bounds, plan.sizes)
        else:
            records = records.batch(plan.sizes[0])
        return records.map(lambda record, *_: record)

    def evaluation_batches(self, batch_size: int) -> tf.data.Dataset:
        """Returns all window batches, always in the same order.

        As in the training batches there are, besides the features of `dense_windows`, `seen_item_id` int64 [B, S],
        padded with V, and `is_cold_user` int64 [B], 0 where the split lacks it.
        """
        return self.windows_of(self.records.batch(batch_size))

    def windows_of(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """Parses batches of records into window batches as those of `evaluation_batches`."""
        windows = batches.map(self._parse, num_parallel_calls=2, deterministic=True)
        return windows.with_options(_options()).prefetch(2)

    def event_batches(self, batch_size: int) -> tf.data.Dataset:
        """Returns what the events of windows are, one after the other, in batches of windows in a fixed order.

        Takes a fraction of the time of `evaluation_batches`: no other feature is parsed, and nothing is padded.

        Args:
            batch_size: the number B of windows.

        Returns:
            `row` int64 [E], the event's window in [0, B), rising; `item_id`, `is_positive`, `is_target` int64 [E], V, 0
            and 0 where absent; `user_id` int64 [B], U where absent. Of longer windows the newest events stay.
        """
        batches = self.records.batch(batch_size).map(self._events, num_parallel_calls=2, deterministic=True)
        return batches.with_options(_options()).prefetch(2)

    def sampling_features(self, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        """Parses what identifies the users and the newest events of records: string [B] -> int64 [B] by name.

        -1 stands for an absent value, and a label for the integer of its bits.
        """
        newest = (feature_names.ITEM_ID, feature_names.TIME, feature_names.IS_POSITIVE)
        integers = {
            n: tf.io.RaggedFeature(tf.int64) for n in (feature_names.USER_KEY, feature_names.IS_COLD_USER, *newest)
        }
        floats = {n: tf.io.RaggedFeature(tf.float32) for n in self._spec.config.label_features}
        found = tf.io.parse_example(serialized, integers | floats)
        length = {_LENGTH: tf.cast(found[feature_names.ITEM_ID].row_lengths(), tf.int64)}
        return {name: newest_values(values) for name, values in found.items()} | length

    def summary(self) -> DataSummary:
        """Counts windows, targets and labels; reads everything once, with a share this worker's part."""
        tasks = list(self._spec.config.ranking)
        sums = np.zeros([len(tasks), 3])
        windows, targets = np.zeros([2, self._spec.config.model.history.max_events + 1], np.int64)
        for window in self.evaluation_batches(_READ_BATCH) if self._shared is None else self._own_windows(self._shared):
            length = _lengths(window)
            np.add.at(windows, length, 1)
            np.add.at(targets, length, tf.math.count_nonzero(window[feature_names.IS_TARGET], axis=1).numpy())
            for total, name in zip(sums, tasks, strict=True):
                total += [float(value) for value in _moments(window, name)]
        if self._share is not None:
            windows, targets, sums = (np.sum(self._share.gather(own.ravel()), 0) for own in (windows, targets, sums))
        labels = zip(tasks, sums.reshape(-1, 3).tolist(), strict=True)
        return DataSummary(windows, targets, {name: LabelStatistics.of_sums(*total) for name, total in labels})

    def _own_windows(self, shared: SharedRecords) -> Iterator[Window]:
        """Reads this worker's windows, and tells the others their lengths."""
        for file, records in shared.own_batches():
            window = self._parse(records)
            shared.keep(file, records, _lengths(window))
            yield window
        shared.exchange()

    @cached_property
    def _parse(self) -> Callable[[tf.Tensor], Window]:
        """`_parsed`, traced once instead of with each epoch's dataset."""
        return _traced(self._parsed)

    @cached_property
    def _events(self) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
        """`_parsed_events`, traced once."""
        return _traced(self._parsed_events)

    @cached_property
    def _with_lengths(self) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
        """`_measured`, traced once."""
        return _traced(self._measured)

    def _measured(self, serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns records string [B] with their windows' lengths int32 [B]."""
        items = tf.io.parse_example(serialized, {feature_names.ITEM_ID: tf.io.RaggedFeature(tf.int64)})
        lengths = items[feature_names.ITEM_ID].row_lengths()
        lengths = tf.minimum(lengths, self._spec.config.model.history.max_events)
        return serialized, tf.cast(lengths, tf.int32)

    def _parsed(self, serialized: tf.Tensor) -> Window:
        features = tf.io.parse_example(serialized, dict(_parsing_spec(self._spec)))
        window = dense_windows(features, self._spec)
        cold = tf.ensure_shape(tf.sparse.reduce_max(features[feature_names.IS_COLD_USER], axis=1), [None])
        seen = tf.sparse.to_dense(features[feature_names.SEEN_ITEM_ID], tf.constant(self._spec.item_count, tf.int64))
        return window | {feature_names.SEEN_ITEM_ID: seen, feature_names.IS_COLD_USER: cold}

    def _parsed_events(self, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        names = (feature_names.ITEM_ID, feature_names.IS_POSITIVE, feature_names.IS_TARGET, feature_names.USER_ID)
        ragged = {name: tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64) for name in names}
        found = tf.io.parse_example(serialized, ragged)
        item = found[feature_names.ITEM_ID]
        row, longest = item.value_rowids(), self._spec.config.model.history.max_events
        event = tf.range(tf.size(row, tf.int64))
        kept = tf.where(tf.gather(item.row_limits(), row) - event <= longest)[:, 0]
        row = tf.gather(row, kept)
        position = tf.gather(event, kept) - tf.gather(item.row_starts(), row)
        return {
            self.ROW: row,
            feature_names.ITEM_ID: tf.gather(item.flat_values, kept),
            feature_names.IS_POSITIVE: values_at(found[feature_names.IS_POSITIVE], row, position, 0),
            feature_names.IS_TARGET: values_at(found[feature_names.IS_TARGET], row, position, 0),
            feature_names.USER_ID: values_at(
                found[feature_names.USER_ID], tf.range(item.nrows()), tf.zeros([1], tf.int64), self._spec.user_count
            ),
        }


def _lengths(window: Window) -> NDArray[np.int32]:
    return tf.math.count_nonzero(window[MASK], axis=1, dtype=tf.int32).numpy()


def _options() -> tf.data.Options:
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    # There is nothing left to tune, and an iterator that is dropped waits for its tuner: seconds, at times minutes.
    options.autotune.enabled = False
    return options


def _traced(function: Callable[[tf.Tensor], Any]) -> Callable[[tf.Tensor], Any]:
    """Traces a function of serialized records, string [B]."""
    signature = [tf.TensorSpec([None], tf.string)]
    return tf.function(function, input_signature=signature, autograph=False).get_concrete_function()


def _parsing_spec(spec: WindowSpec) -> Iterator[tuple[str, tf.io.VarLenFeature]]:
    for name in (*_INTEGERS, *map(feature_names.session, spec.config.sessions)):
        yield name, tf.io.VarLenFeature(tf.int64)
    for name in spec.config.label_features:
        yield name, tf.io.VarLenFeature(tf.float32)
    for feature in spec.features:
        if feature.section != "item":
            yield feature.name, tf.io.VarLenFeature(tf.float32 if feature.form == "number" else tf.int64)


def _epoch_seed(seed: int, epoch: int) -> int:
    return (seed * 1_000_003 + epoch) & 0x7FFFFFFF


def _moments(window: Window, task: str) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    label = tf.cast(window[feature_names.label(task)], tf.float64)
    weight = tf.cast(tf.where(window[feature_names.IS_TARGET], window[feature_names.weight(task)], 0), tf.float64)
    return tuple(tf.reduce_sum(weight * label**power) for power in range(3))
