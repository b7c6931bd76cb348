"""Recent popularity (the trend) as a part of the retrieval score.

The score of item i for a query at time t gets

    sum_w a_w log(1 + n_w(i, t))

where n_w counts the item's positive train events in the last w days, as far as whole buckets of time
(`transform.trend`) have passed before t, and the weights a_w are the query's. An event is thus never in its own
features, nor is any event of its own bucket or a later one; past the last train event the counts are constant. The
score remains one dot product of a longer query and a longer candidate.

Example:
    With buckets of one day, windows of 1 and 3 days, and an item that has 2 0 1 0 events on days 0 to 3, its counts as
    of any time on day 3 (`bucket` 3) are [1, 3]: those of day 2, and of days 0 to 2.
"""

from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from config import Config
from trainer.data.catalogue import Catalogue
from trainer.losses.softmax import Moments, OwnFeatures
from transform.trend import DAY, TrendCounts

_DENSE = 1 << 15
"""Up to so many items, scores of the catalogue are computed from the features of all items."""
KEPT = 1 << 26
"""The most features (buckets x windows x items) that are kept: 256 MB."""


class PastTrend(Protocol):
    """The features of many items at many moments: log(1 + count) in the windows before them."""

    def features(self, bucket: tf.Tensor, item: tf.Tensor | None) -> Moments:
        """Returns the features as of T buckets, int64 [T], of N items, int64 [N] in [0, V); None: the catalogue."""


def make_past_trend(counts: TrendCounts, windows: np.ndarray, size: int, kept: int = KEPT) -> PastTrend:
    """Makes the implementation that suits the size of the catalogue.

    Its variables are used in training alone: they are no part of a checkpoint nor of an export.

    Args:
        counts: E cells.
        windows: int64 [W], the windows' lengths in buckets.
        size: V.
        kept: The most features that are kept.
    """
    is_small = (counts.buckets.size + 1) * len(windows) * size <= kept
    return KeptFeatures(counts, windows, size) if is_small else AddedCounts(counts, windows, size)


class KeptFeatures:
    """The features of all items at all moments, float [buckets + 1, W, V]; see `make_past_trend`.

    Example:
        Of the events 2 0 1 0 by bucket, `before` is [0 2 2 3 3]: the events before the start of buckets 0 to 4. The
        count of the window of 3 as of bucket 3 is before[3] - before[0] = 3, that of 1 before[3] - before[2] = 1.
    """

    def __init__(self, counts: TrendCounts, windows: np.ndarray, size: int) -> None:
        before = np.zeros([counts.buckets.size + 1, size], np.int32)
        before[counts.bucket + 1, counts.item] = counts.count
        before = np.cumsum(before, axis=0, dtype=np.int32)
        starts = np.maximum(np.arange(len(before))[:, np.newaxis] - windows, 0)
        features = np.empty([len(before), len(windows), size], np.float32)
        for window in range(len(windows)):
            np.log1p(before - before[starts[:, window]], out=features[:, window], casting="same_kind")
        self._shape = features.shape
        # Flat, so that a step reads the features of its own items alone, even where another process holds the variable.
        self._features = tf.Variable(features.reshape(-1), trainable=False, name="past_trend")

    def features(self, bucket: tf.Tensor, item: tf.Tensor | None) -> Moments:
        """See `PastTrend`."""
        if item is None:
            # A gather from the variable itself would copy the whole at each read of a part of it.
            return Moments(tf.reshape(self._features, self._shape), bucket)
        moment, row = tf.unique(bucket, out_idx=tf.int64)
        _, windows, size = self._shape
        # Item i of window w at moment m has the flat index (m * W + w) * V + i.
        starts = (moment[:, tf.newaxis, tf.newaxis] * windows + np.arange(windows)[:, np.newaxis]) * size
        return Moments(tf.gather(self._features, starts + item), row)


class AddedCounts:
    """The cells sorted by item; each step adds up those of its own items. See `make_past_trend`.

    Example:
        For moments at buckets 3 and 5 and windows of 1 and 3, counts are needed before the edges 0, 2, 3, 4, 5. A cell
        of bucket 2 lies before the edges from 3 on: `searchsorted` on the right gives it the row 2, so it is added to
        edge 3 and, by the cumulative sum, to all later ones. A cell of bucket 5 gets row 5, beyond the edges.
    """

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
        # Cells between two neighbouring edges are added once, whichever windows they are part of.
        edge = tf.unique(tf.sort(tf.reshape(moment, [-1]))).y
        span = tf.searchsorted(edge, tf.range(self._buckets, dtype=tf.int64), side="right")
        position = tf.reshape(tf.searchsorted(edge, tf.reshape(moment, [-1])), tf.shape(moment))
        before = tf.gather(self._before(self._items if item is None else item, span, tf.size(edge)), position)
        return Moments(tf.math.log1p(tf.cast(before[:, :1] - before[:, 1:], tf.float32)), row)

    def _before(self, item: tf.Tensor, span: tf.Tensor, edges: tf.Tensor) -> tf.Tensor:
        """Counts the events of n items before each edge: int32 [edges, n]; `span` is the first edge behind a bucket."""
        cells = tf.ragged.range(tf.gather(self._starts, item), tf.gather(self._starts, item + 1))
        slot, position = tf.cast(cells.value_rowids(), tf.int32), cells.flat_values
        row = tf.gather(span, tf.gather(self._bucket, position))
        cell = tf.where(row < edges, row * tf.size(item) + slot, -1)
        sums = tf.math.unsorted_segment_sum(tf.gather(self._count, position), cell, edges * tf.size(item))
        return tf.cumsum(tf.reshape(sums, [edges, tf.size(item)]))


class PastScores(NamedTuple):
    """The trend's part of a training step's scores.

    Attributes:
        target: float [T, G].
        negatives: Added by the softmax to the scores of T queries and N items.
    """

    target: tf.Tensor
    negatives: OwnFeatures


class TrendTable(tf.Module):
    """The counts by item and bucket as non-trainable variables, only those that are not zero.

    A moment's features are those of the bucket that it lies in: counts of the W windows that end where the bucket
    starts. Past the last bucket they are those of all events: the newest ones.

    Args:
        counts: E cells.
        days: The W windows, rising; rounded to buckets, at least one.
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
        """Returns the bucket of times, int64 [...] seconds: int64 [...] in [0, buckets]; those before are complete."""
        start, width, size = self._buckets
        return tf.clip_by_value((time - start) // width, 0, size)

    def is_past(self, time: tf.Tensor) -> tf.Tensor:
        """Returns whether features as of int64 [...] seconds (0 where unknown) differ from the newest: bool [...]."""
        return (time != 0) & (self.bucket(time) < self._buckets.size)

    def of_all(self, bucket: tf.Tensor) -> tf.Tensor:
        """Computes the features of the catalogue as of int64 [R] buckets: float [R, W, V].

        Reads the cells of the longest window alone, and adds each to the shortest window that holds it.

        Example:
            As of bucket 5, a cell of bucket 3 has age 2: with windows of 1 and 3 buckets `searchsorted` puts it in
            window 1; one of bucket 4, age 1, in window 0, and the cumulative sum over windows adds it to window 1.
        """
        row, window, position = self._past_cells(bucket)
        cell = (row * self.width + window) * self._size + tf.gather(self._item, position)
        rows = tf.shape(bucket, tf.int64)[0]
        counts = tf.math.unsorted_segment_sum(tf.gather(self._count, position), cell, rows * self.width * self._size)
        return _features(tf.cumsum(tf.reshape(counts, [rows, self.width, self._size]), axis=1))

    def _past_cells(self, bucket: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Finds the P cells in the longest windows before int64 [R] buckets.

        Returns:
            int64 [P] each: their rows in [0, R), rising; the shortest windows that hold them; their positions.
        """
        first = tf.gather(self._starts, tf.maximum(bucket - self._windows[-1], 0))
        cells = tf.ragged.range(first, tf.gather(self._starts, bucket))
        row, position = cells.value_rowids(), cells.flat_values
        age = tf.gather(bucket, row) - tf.gather(self._bucket, position)
        return row, tf.searchsorted(self._windows, age, out_type=tf.int64), position

    def of_items(self, bucket: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        """Computes the features of items as of buckets.

        Cells are sorted by the key item * (buckets + 1) + bucket, so the events of an item before a bucket, and of all
        items before it in the order, are the cumulative count up to that key; a window is a difference of two of them.

        Args:
            bucket: int64 [...].
            item: int64 [...] in [0, V], broadcast with `bucket`.

        Returns:
            float [..., W].
        """
        bucket = bucket[..., tf.newaxis]
        edges = tf.concat([bucket, tf.maximum(bucket - self._windows, 0)], axis=-1)
        keys = item[..., tf.newaxis] * (self._buckets.size + 1) + edges
        before = tf.gather(self._totals, tf.searchsorted(self._keys, tf.reshape(keys, [-1])))
        before = tf.reshape(before, tf.shape(keys))
        return _features(before[..., :1] - before[..., 1:])

    def newest(self, item: tf.Tensor) -> tf.Tensor:
        """Computes the features past the last bucket, of int64 [...] in [0, V]: float [..., W]."""
        return self.of_items(tf.constant(self._buckets.size, tf.int64), item)

    def catalogue_scores(self, weights: tf.Tensor, time: tf.Tensor) -> tf.Tensor:
        """Computes the trend's part of all items' scores from weights float [B, W] and int64 [B] seconds: [B, V]."""
        bucket, row = tf.unique(self.bucket(time), out_idx=tf.int64)
        if self._size > _DENSE:
            return self._added_scores(weights, bucket, row)
        features = tf.gather(self.of_all(bucket), row)
        return tf.squeeze(tf.matmul(weights[:, tf.newaxis], features), 1)

    def _added_scores(self, weights: tf.Tensor, bucket: tf.Tensor, row: tf.Tensor) -> tf.Tensor:
        """Computes `catalogue_scores` from the items with events in the longest window alone, all others have 0.

        Args:
            weights: float [B, W].
            bucket: int64 [R], distinct.
            row: int64 [B] in [0, R), the queries' buckets.
        """
        moment, window, position = self._past_cells(bucket)
        # The distinct pairs of moment and item are in the order of their first cells, so moments rise.
        pair, index = tf.unique(moment * self._size + tf.gather(self._item, position), out_idx=tf.int64)
        cell, cells = index * self.width + window, tf.size(pair, tf.int64) * self.width
        counts = tf.math.unsorted_segment_sum(tf.gather(self._count, position), cell, cells)
        features = _features(tf.cumsum(tf.reshape(counts, [-1, self.width]), axis=1))
        starts = tf.searchsorted(pair // self._size, tf.range(tf.size(bucket, tf.int64) + 1), out_type=tf.int64)
        own = tf.ragged.range(tf.gather(starts, row), tf.gather(starts, row + 1))
        query, position = own.value_rowids(), own.flat_values
        value = tf.reduce_sum(tf.gather(weights, query) * tf.gather(features, position), axis=1)
        item, rows = tf.gather(pair, position) % self._size, tf.shape(weights, tf.int64)[0]
        scores = tf.math.unsorted_segment_sum(value, query * self._size + item, rows * self._size)
        return tf.reshape(scores, [rows, self._size])

    def past_scores(
        self, time: tf.Tensor, weights: tf.Tensor, target: tf.Tensor, negative: tf.Tensor | None
    ) -> PastScores:
        """Computes the trend's part of the scores of targets and negatives for queries of many times.

        Args:
            time: int64 [T] seconds.
            weights: float [T, W] of the queries.
            target: int64 [T, G] in [0, V].
            negative: int64 [N] in [0, V). None: the catalogue, N is V.
        """
        bucket = self.bucket(time)
        own = tf.linalg.matvec(self.of_items(bucket[:, tf.newaxis], target), weights)
        return PastScores(own, OwnFeatures(weights, self._past.features(bucket, negative)))


def make_trend_table(config: Config, catalogue: Catalogue) -> TrendTable | None:
    """Makes the table of the catalogue's trend; None without `features.trend`."""
    if config.trend is None:
        return None
    if catalogue.trend is None:
        raise ValueError("the catalogue should hold the items' trend where `features.trend` is on")
    return TrendTable(catalogue.trend, config.trend.days, catalogue.size)


def _features(counts: tf.Tensor) -> tf.Tensor:
    return tf.math.log1p(tf.cast(counts, tf.float32))


def _fixed(values: np.ndarray, name: str) -> tf.Variable:
    return tf.Variable(values, trainable=False, dtype=tf.int64, name=name)
