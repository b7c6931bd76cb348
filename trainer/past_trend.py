"""What was popular at many moments at once, as a step of training asks for it.

A batch has T targets, each at a moment of its own, and its softmax runs over N items: T x N x W features are more than
there are scores, so the way to them has to be short. Where the features of all buckets and items fit into memory they
are kept, and a step only looks them up; otherwise it adds up the cells of its own items, between its own moments.
"""

from typing import Protocol

import numpy as np
import tensorflow as tf

from trainer.softmax import Moments
from transform.trend import TrendCounts

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
        place = tf.reshape(tf.searchsorted(edge, tf.reshape(moment, [-1])), tf.shape(moment))
        before = tf.gather(self._before(self._items if item is None else item, span, tf.size(edge)), place)
        return Moments(tf.math.log1p(tf.cast(before[:, :1] - before[:, 1:], tf.float32)), row)

    def _before(self, item: tf.Tensor, span: tf.Tensor, edges: tf.Tensor) -> tf.Tensor:
        """int32 [edges, n]: the counts of n items before each edge."""
        cells = tf.ragged.range(tf.gather(self._starts, item), tf.gather(self._starts, item + 1))
        slot, place = tf.cast(cells.value_rowids(), tf.int32), cells.flat_values
        row = tf.gather(span, tf.gather(self._bucket, place))
        cell = tf.where(row < edges, row * tf.size(item) + slot, -1)
        sums = tf.math.unsorted_segment_sum(tf.gather(self._count, place), cell, edges * tf.size(item))
        return tf.cumsum(tf.reshape(sums, [edges, tf.size(item)]))
