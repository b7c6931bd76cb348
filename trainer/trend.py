"""What is popular now, as a part of the retrieval score.

The score of item i for a query at time t gets sum_w a_w x log(1 + n_w(i, t)): n_w counts the item's positive train
events in the last w days, as far as whole buckets of time (`transform.trend`) have passed before t, and the weights a_w
are the query's. An event is thus never in its own features, nor is anything that happened with it or after it; past the
last train event the counts stand still. The score stays one dot product of a longer query and a longer candidate.
"""

import numpy as np
import tensorflow as tf

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

    def of_all(self, bucket: tf.Tensor) -> tf.Tensor:
        """The features of the catalogue: int64 [R] buckets -> float [R, W, V]."""
        first = tf.gather(self._starts, tf.maximum(bucket - self._windows[-1], 0))
        lengths = tf.gather(self._starts, bucket) - first
        row = tf.repeat(tf.range(tf.shape(bucket, tf.int64)[0]), lengths)
        place = tf.range(tf.reduce_sum(lengths)) + tf.gather(first - tf.cumsum(lengths, exclusive=True), row)
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
        return _weighed(weights, tf.gather(self.of_all(bucket), row))

    def as_of(
        self,
        time: tf.Tensor,
        query: tf.Tensor,
        target: tf.Tensor,
        negative: tf.Tensor | None,
        target_embeddings: tf.Tensor,
        negative_embeddings: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Queries of many times and their candidates, so that each dot product has the trend of the query's time.

        The candidates get the features of all U distinct buckets; a query's weights meet those of its own.

        Args:
            time: int64 [T] seconds.
            query: float [T, D + 1 + W].
            target: int64 [T, G] in [0, V].
            negative: int64 [N] in [0, V). None: the catalogue, N is V.
            target_embeddings: float [T, G, D + 1].
            negative_embeddings: float [N, D + 1].

        Returns:
            The query [T, D + 1 + U W] and the embeddings, [T, G, D + 1 + U W] and [N, D + 1 + U W].
        """
        bucket, row = tf.unique(self.bucket(time), out_idx=tf.int64)
        is_own = tf.one_hot(row, tf.size(bucket))
        weights, own = query[:, -self.width :], self.of_items(tf.gather(bucket, row)[:, tf.newaxis], target)
        query = tf.concat([query[:, : -self.width], _spread(weights[:, tf.newaxis], is_own)[:, 0]], axis=1)
        targets = tf.concat([target_embeddings, _spread(own, is_own)], axis=-1)
        features = tf.reshape(self._features_of(bucket, negative), [tf.shape(negative_embeddings)[0], -1])
        return query, targets, tf.concat([negative_embeddings, features], axis=1)

    def _features_of(self, bucket: tf.Tensor, item: tf.Tensor | None) -> tf.Tensor:
        """int64 [U] buckets, int64 [N] items (None: all) -> float [N, U, W]."""
        if item is None:
            return tf.transpose(self.of_all(bucket), [2, 0, 1])
        return self.of_items(bucket, item[:, tf.newaxis])


def _spread(values: tf.Tensor, is_own: tf.Tensor) -> tf.Tensor:
    """float [T, G, W] and [T, U], 1 at the row's own bucket, 0 elsewhere -> float [T, G, U W]."""
    spread = values[:, :, tf.newaxis] * is_own[:, tf.newaxis, :, tf.newaxis]
    return tf.reshape(spread, [*tf.unstack(tf.shape(values)[:2]), tf.shape(is_own)[1] * values.shape[-1]])


def _weighed(weights: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
    """float [B, W], float [B, W, N] -> float [B, N]."""
    return tf.squeeze(tf.matmul(weights[:, tf.newaxis], features), 1)


def _features(counts: tf.Tensor) -> tf.Tensor:
    return tf.math.log1p(tf.cast(counts, tf.float32))


def _fixed(values: np.ndarray, name: str) -> tf.Variable:
    return tf.Variable(values, trainable=False, dtype=tf.int64, name=name)
