"""From a history to the scores that its items' neighbourhoods give to all items."""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
import tensorflow as tf


class NeighbourTable(tf.Module):
    """One kind of neighbourhood: the sum over the history's events of what each adds to the other items' scores.

    Args:
        links: float32 [V, V], by row what an item of the history adds.
        decay: the newest event but n counts decay ** n.
    """

    def __init__(self, links: sp.csr_matrix, decay: float, name: str) -> None:
        super().__init__(name=name)
        self._size = links.shape[0]
        self._decay = decay
        # The unknown item's row, V, is empty.
        starts = np.append(links.indptr, links.indptr[-1]).astype(np.int64)
        with self.name_scope:
            self._starts = tf.Variable(starts, trainable=False, name="starts")
            self._item = tf.Variable(links.indices.astype(np.int32), trainable=False, name="item")
            self._value = tf.Variable(links.data.astype(np.float32), trainable=False, name="value")

    def scores(self, history: tf.Tensor) -> tf.Tensor:
        """int64 [B, L], the oldest event first, V for none -> float [B, V]."""
        rows = tf.shape(history, tf.int64)[0]
        event = tf.reshape(history, [-1])
        splits, place = tf.raw_ops.RaggedRange(
            starts=tf.gather(self._starts, event),
            limits=tf.gather(self._starts, event + 1),
            deltas=tf.constant(1, tf.int64),
            Tsplits=tf.int64,
        )
        source = _segments(splits)
        value = tf.gather(self._value, place) * tf.gather(tf.reshape(self._weights(history), [-1]), source)
        row = source // tf.maximum(tf.shape(history, tf.int64)[1], 1)
        cell = row * self._size + tf.cast(tf.gather(self._item, place), tf.int64)
        return tf.reshape(tf.math.unsorted_segment_sum(value, cell, rows * self._size), [rows, self._size])

    def _weights(self, history: tf.Tensor) -> tf.Tensor:
        """float [B, L]: of each event by the number of known ones after it."""
        is_known = tf.cast(history < self._size, tf.float32)
        return tf.pow(self._decay, tf.cumsum(is_known, axis=1, exclusive=True, reverse=True))


class Neighbours(tf.Module):
    """The weighted sum of several kinds.

    Args:
        tables: one for each kind.
        weights: theirs.
    """

    def __init__(self, tables: Sequence[NeighbourTable], weights: Sequence[float]) -> None:
        super().__init__(name="neighbours")
        self._tables = list(tables)
        self._weights = [float(weight) for weight in weights]

    def scores(self, history: tf.Tensor) -> tf.Tensor:
        """int64 [B, L], the oldest event first, V for none -> float [B, V]."""
        return tf.add_n([w * table.scores(history) for table, w in zip(self._tables, self._weights, strict=True)])


def _segments(splits: tf.Tensor) -> tf.Tensor:
    """int64 [S + 1], where segments start and end -> int64 [N], the segment of each place."""
    total = splits[-1]
    ends = tf.math.unsorted_segment_sum(tf.ones_like(splits[1:]), splits[1:], total + 1)
    return tf.cumsum(ends[:-1])
