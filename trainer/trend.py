"""What is popular now, as a part of the retrieval score.

The score of item i for a query at time t gets sum_w a_w x log(1 + n_w(i, t)): n_w counts the item's positive train
events in the last w days, as far as whole buckets of time (`transform.trend`) have passed before t, and the weights a_w
are the query's. An event is thus never in its own features, nor is anything that happened with it or after it; past the
last train event the counts stand still. The score stays one dot product of a longer query and a longer candidate.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from trainer.past_trend import make_past_trend
from trainer.softmax import OwnFeatures
from transform.trend import DAY, TrendCounts


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
        row, place = cells.value_rowids(), cells.flat_values
        age = tf.gather(bucket, row) - tf.gather(self._bucket, place)
        window = tf.searchsorted(self._windows, age, out_type=tf.int64)
        cell = (row * self.width + window) * self._size + tf.gather(self._item, place)
        rows = tf.shape(bucket, tf.int64)[0]
        counts = tf.math.unsorted_segment_sum(tf.gather(self._count, place), cell, rows * self.width * self._size)
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
