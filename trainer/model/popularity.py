"""What is popular now, as a part of the retrieval score.

The score of item i for a query at time t gets sum_w a_w x log(1 + n_w(i, t)): n_w counts the item's positive train
events in the last w days, as far as whole buckets of time (`transform.trend`) have passed before t, and the weights a_w
are the query's. An event is thus never in its own features, nor is anything that happened with it or after it; past the
last train event the counts stand still. The score stays one dot product of a longer query and a longer candidate.
"""

from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from trainer.losses.softmax import Moments, OwnFeatures
from transform.trend import DAY, TrendCounts

KEPT = 1 << 26
"""Up to so many features (buckets x windows x items) are kept: 256 MB."""


class PastTrend(Protocol):
    """The features of many items at many moments: log(1 + count) in the windows before them."""

    def features(self, bucket: tf.Tensor, item: tf.Tensor | None) -> Moments:
        """The features as of T buckets, int64 [T], of N items, int64 [N] in [0, V); None: the catalogue."""


def make_past_trend(counts: TrendCounts, windows: np.ndarray, size: int, kept: int = KEPT) -> PastTrend:
    """What suits the size of the catalogue.

    What it keeps is of training alone: no part of a checkpoint nor of an export.

    Args:
        counts: E cells.
        windows: int64 [W], the windows' lengths in buckets.
        size: V.
        kept: the most features that are kept.
    """
    is_small = (counts.buckets.size + 1) * len(windows) * size <= kept
    return KeptFeatures(counts, windows, size) if is_small else AddedCounts(counts, windows, size)


class KeptFeatures:
    """The features of all items at all moments, float [buckets + 1, W, V]; see `make_past_trend`."""

    def __init__(self, counts: TrendCounts, windows: np.ndarray, size: int) -> None:
        before = np.zeros([counts.buckets.size + 1, size], np.int32)
        before[counts.bucket + 1, counts.item] = counts.count
        before = np.cumsum(before, axis=0, dtype=np.int32)
        starts = np.maximum(np.arange(len(before))[:, np.newaxis] - windows, 0)
        features = np.empty([len(before), len(windows), size], np.float32)
        for window in range(len(windows)):
            np.log1p(before - before[starts[:, window]], out=features[:, window], casting="same_kind")
        self._features = tf.Variable(features, trainable=False, name="past_trend")

    def features(self, bucket: tf.Tensor, item: tf.Tensor | None) -> Moments:
        """See `PastTrend`."""
        if item is None:
            # A gather from the variable itself would make each read of a part of it copy the whole.
            return Moments(tf.convert_to_tensor(self._features), bucket)
        moment, row = tf.unique(bucket, out_idx=tf.int64)
        windows, size = self._features.shape[1:]
        starts = (moment[:, tf.newaxis, tf.newaxis] * windows + np.arange(windows)[:, np.newaxis]) * size
        return Moments(tf.gather(tf.reshape(self._features, [-1]), starts + item), row)


class AddedCounts:
    """The cells in the order of their items; each step adds up those of its own items. See `make_past_trend`."""

    def __init__(self, counts: TrendCounts, windows: np.ndarray, size: int) -> None:
        order = np.lexsort((counts.bucket, counts.item))
        starts = np.searchsorted(counts.item[order], np.arange(size + 1))
        fixed = {"starts": starts, "bucket": counts.bucket[order], "count": counts.count[order]}
        self._starts, self._bucket, self._count = (
            tf.Variable(values.astype(np.int32), trainable=False, name=f"cell_{name}") for name, values in fixed.items()
        )
        self._items = tf.range(size, dtype=tf.int64)
        self._buckets = counts.buckets.size
        self._windows = windows

    def features(self, bucket: tf.Tensor, item: tf.Tensor | None) -> Moments:
        """See `PastTrend`."""
        bucket, row = tf.unique(bucket, out_idx=tf.int64)
        moment = tf.concat([bucket[:, tf.newaxis], tf.maximum(bucket[:, tf.newaxis] - self._windows, 0)], axis=1)
        # Between two moments that follow each other cells need adding once, whoever asks for them.
        edge = tf.unique(tf.sort(tf.reshape(moment, [-1]))).y
        span = tf.searchsorted(edge, tf.range(self._buckets, dtype=tf.int64), side="right")
        position = tf.reshape(tf.searchsorted(edge, tf.reshape(moment, [-1])), tf.shape(moment))
        before = tf.gather(self._before(self._items if item is None else item, span, tf.size(edge)), position)
        return Moments(tf.math.log1p(tf.cast(before[:, :1] - before[:, 1:], tf.float32)), row)

    def _before(self, item: tf.Tensor, span: tf.Tensor, edges: tf.Tensor) -> tf.Tensor:
        """int32 [edges, n]: the counts of n items before each edge."""
        cells = tf.ragged.range(tf.gather(self._starts, item), tf.gather(self._starts, item + 1))
        slot, position = tf.cast(cells.value_rowids(), tf.int32), cells.flat_values
        row = tf.gather(span, tf.gather(self._bucket, position))
        cell = tf.where(row < edges, row * tf.size(item) + slot, -1)
        sums = tf.math.unsorted_segment_sum(tf.gather(self._count, position), cell, edges * tf.size(item))
        return tf.cumsum(tf.reshape(sums, [edges, tf.size(item)]))


class TrendTable(tf.Module):
    """The counts by item and bucket as non-trainable variables, only those that are not zero.

    A moment's features are those of the bucket that it lies in: counts of the W windows that end where the bucket
    starts. Past the last bucket they are those of all events: the newest ones.

    Args:
        counts: E cells.
        days: the W windows, rising; rounded to buckets, one at least.
        size: V, the number of items.
    """

    def __init__(self, counts: TrendCounts, days: tuple[float, ...], size: int, name: str = "trend") -> None:
        super().__init__(name=name)
        self.width = len(days)
        self._size = size
        self._buckets = counts.buckets
        self._windows = np.array([max(1, round(d * DAY / counts.buckets.width)) for d in days], np.int64)
        self._past = make_past_trend(counts, self._windows, size)
        by_bucket = np.argsort(counts.bucket, kind="stable")
        keys = counts.item * (counts.buckets.size + 1) + counts.bucket
        by_item = np.argsort(keys)
        starts = np.searchsorted(counts.bucket[by_bucket], np.arange(counts.buckets.size + 1))
        with self.name_scope:
            self._item = _fixed(counts.item[by_bucket], "item")
            self._bucket = _fixed(counts.bucket[by_bucket], "bucket")
            self._count = _fixed(counts.count[by_bucket], "count")
            self._starts = _fixed(starts, "starts")
            self._keys = _fixed(keys[by_item], "keys")
            self._totals = _fixed(np.concatenate([[0], np.cumsum(counts.count[by_item])]), "totals")

    def bucket(self, time: tf.Tensor) -> tf.Tensor:
        """int64 [...] seconds -> int64 [...] in [0, buckets]: what lies before it is complete."""
        start, width, size = self._buckets
        return tf.clip_by_value((time - start) // width, 0, size)

    def is_past(self, time: tf.Tensor) -> tf.Tensor:
        """Whether the features as of a time are not the newest: int64 [...] seconds, 0 where unknown -> bool [...]."""
        return (time != 0) & (self.bucket(time) < self._buckets.size)

    def of_all(self, bucket: tf.Tensor) -> tf.Tensor:
        """The features of the catalogue: int64 [R] buckets -> float [R, W, V]."""
        first = tf.gather(self._starts, tf.maximum(bucket - self._windows[-1], 0))
        cells = tf.ragged.range(first, tf.gather(self._starts, bucket))
        row, position = cells.value_rowids(), cells.flat_values
        age = tf.gather(bucket, row) - tf.gather(self._bucket, position)
        window = tf.searchsorted(self._windows, age, out_type=tf.int64)
        cell = (row * self.width + window) * self._size + tf.gather(self._item, position)
        rows = tf.shape(bucket, tf.int64)[0]
        counts = tf.math.unsorted_segment_sum(tf.gather(self._count, position), cell, rows * self.width * self._size)
        return _features(tf.cumsum(tf.reshape(counts, [rows, self.width, self._size]), axis=1))

    def of_items(self, bucket: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        """The features of items: int64 [...] buckets, int64 [...] in [0, V], broadcast -> float [..., W]."""
        bucket = bucket[..., tf.newaxis]
        edges = tf.concat([bucket, tf.maximum(bucket - self._windows, 0)], axis=-1)
        keys = item[..., tf.newaxis] * (self._buckets.size + 1) + edges
        before = tf.gather(self._totals, tf.searchsorted(self._keys, tf.reshape(keys, [-1])))
        before = tf.reshape(before, tf.shape(keys))
        return _features(before[..., :1] - before[..., 1:])

    def newest(self, item: tf.Tensor) -> tf.Tensor:
        """The features past the last bucket: int64 [...] in [0, V] -> float [..., W]."""
        return self.of_items(tf.constant(self._buckets.size, tf.int64), item)

    def catalogue_scores(self, weights: tf.Tensor, time: tf.Tensor) -> tf.Tensor:
        """What is added to the scores of all items: float [B, W] and int64 [B] seconds -> float [B, V]."""
        bucket, row = tf.unique(self.bucket(time), out_idx=tf.int64)
        features = tf.gather(self.of_all(bucket), row)
        return tf.squeeze(tf.matmul(weights[:, tf.newaxis], features), 1)

    def past_scores(
        self, time: tf.Tensor, weights: tf.Tensor, target: tf.Tensor, negative: tf.Tensor | None
    ) -> "PastScores":
        """What is added to the scores of targets and negatives for queries of many times.

        Args:
            time: int64 [T] seconds.
            weights: float [T, W] of the queries.
            target: int64 [T, G] in [0, V].
            negative: int64 [N] in [0, V). None: the catalogue, N is V.
        """
        bucket = self.bucket(time)
        own = tf.linalg.matvec(self.of_items(bucket[:, tf.newaxis], target), weights)
        return PastScores(own, OwnFeatures(weights, self._past.features(bucket, negative)))


class PastScores(NamedTuple):
    """The trend's part of a training step's scores.

    Attributes:
        target: float [T, G].
        negatives: what the softmax adds to the scores of T queries and N items.
    """

    target: tf.Tensor
    negatives: OwnFeatures


def _features(counts: tf.Tensor) -> tf.Tensor:
    return tf.math.log1p(tf.cast(counts, tf.float32))


def _fixed(values: np.ndarray, name: str) -> tf.Variable:
    return tf.Variable(values, trainable=False, dtype=tf.int64, name=name)
