"""What was popular at many moments at once, as a step of training asks for it.

A batch of targets lies in U buckets of time, and its softmax runs over N items: U x N x W features are as many as the
scores themselves, so the way to them has to be short. Each is a difference between two running counts. Where the counts
of all buckets and items fit into memory they are kept, and a step only gathers; otherwise it adds up the cells of its
own items, between its own moments.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import tensorflow as tf

from transform.trend import TrendCounts

KEPT_CELLS = 1 << 25
"""Up to so many running counts (buckets x items) are kept: 128 MB."""

Features = Callable[[tf.Tensor | int, tf.Tensor | int], tf.Tensor]
"""From the first and the last place among the N items: float [U, W, last - first]."""


class PastTrend:
    """The features of many items at many moments: log(1 + count) in the windows before them.

    What it keeps is of training alone: no part of a checkpoint nor of an export.

    Args:
        counts: E cells.
        windows: int64 [W], the windows' lengths in buckets.
        size: V.
        kept: the most running counts that are kept.
    """

    def __init__(self, counts: TrendCounts, windows: np.ndarray, size: int, kept: int = KEPT_CELLS) -> None:
        self._windows = windows
        is_small = (counts.buckets.size + 1) * size <= kept
        self._counts: _RunningCounts = _KeptCounts(counts, size) if is_small else _CellCounts(counts, size)

    def features(self, bucket: tf.Tensor, item: tf.Tensor | None) -> Features:
        """The features of U buckets, int64 [U], and N items, int64 [N] in [0, V); None: the catalogue."""
        moment = tf.concat([bucket[:, tf.newaxis], tf.maximum(bucket[:, tf.newaxis] - self._windows, 0)], axis=1)
        before = self._counts.before(moment, item)

        def part(first: tf.Tensor | int, last: tf.Tensor | int) -> tf.Tensor:
            counts = before(first, last)
            return tf.math.log1p(tf.cast(counts[:, :1] - counts[:, 1:], tf.float32))

        return part


class _RunningCounts(Protocol):
    """How often items were chosen before moments."""

    def before(self, moment: tf.Tensor, item: tf.Tensor | None) -> Callable[..., tf.Tensor]:
        """int64 [U, M] buckets, items as in `PastTrend.features` -> from places among these to int32 [U, M, places]."""


class _KeptCounts:
    """Of all items before all buckets, int32 [buckets + 1, V]."""

    def __init__(self, counts: TrendCounts, size: int) -> None:
        cells = np.zeros([counts.buckets.size + 1, size], np.int32)
        cells[counts.bucket + 1, counts.item] = counts.count
        self._before = tf.Variable(np.cumsum(cells, axis=0, dtype=np.int32), trainable=False, name="counts_before")

    def before(self, moment: tf.Tensor, item: tf.Tensor | None) -> Callable[..., tf.Tensor]:
        rows = tf.gather(self._before, moment)
        if item is None:
            return lambda first, last: rows[..., first:last]
        return lambda first, last: tf.gather(rows, item[first:last], axis=2)


class _CellCounts:
    """The cells in the order of their items; each step adds up those of its own items."""

    def __init__(self, counts: TrendCounts, size: int) -> None:
        order = np.lexsort((counts.bucket, counts.item))
        starts = np.searchsorted(counts.item[order], np.arange(size + 1))
        fixed = {"starts": starts, "bucket": counts.bucket[order], "count": counts.count[order]}
        self._starts, self._bucket, self._count = (
            tf.Variable(values.astype(np.int32), trainable=False, name=f"cell_{name}") for name, values in fixed.items()
        )
        self._item = tf.range(size, dtype=tf.int64)
        self._buckets = counts.buckets.size

    def before(self, moment: tf.Tensor, item: tf.Tensor | None) -> Callable[..., tf.Tensor]:
        # Between two moments that follow each other cells need adding once, whoever asks for them.
        edge = tf.unique(tf.sort(tf.reshape(moment, [-1]))).y
        span = tf.searchsorted(edge, tf.range(self._buckets, dtype=tf.int64), side="right")
        row = tf.reshape(tf.searchsorted(edge, tf.reshape(moment, [-1])), tf.shape(moment))
        items = self._item if item is None else item
        return lambda first, last: tf.gather(self._running(items[first:last], span, tf.size(edge)), row)

    def _running(self, item: tf.Tensor, span: tf.Tensor, edges: tf.Tensor) -> tf.Tensor:
        """int32 [edges, n]: the counts of n items before each edge."""
        start = tf.gather(self._starts, item)
        length = tf.gather(self._starts, item + 1) - start
        slot = tf.repeat(tf.range(tf.size(item)), length)
        place = tf.range(tf.reduce_sum(length)) + tf.gather(start - tf.cumsum(length, exclusive=True), slot)
        row = tf.gather(span, tf.gather(self._bucket, place))
        cell = tf.where(row < edges, row * tf.size(item) + slot, -1)
        sums = tf.math.unsorted_segment_sum(tf.gather(self._count, place), cell, edges * tf.size(item))
        return tf.cumsum(tf.reshape(sums, [edges, tf.size(item)]))
