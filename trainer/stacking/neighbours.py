"""From a history to the scores that its items' neighbourhoods give to all items."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import tensorflow as tf

_DENSE = 1 << 14
"""Up to so many items the sums of all of them are found faster than which few there are."""


class Cells(NamedTuple):
    """What the events of B histories add to their items' neighbours; several events may meet in one cell.

    Attributes:
        cell: int64 [N], row x V + item.
        value: float [N].
        event: int64 [N], row x L + position of the event.
    """

    cell: tf.Tensor
    value: tf.Tensor
    event: tf.Tensor


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

    def cells(self, history: tf.Tensor) -> Cells:
        """What each event adds to each of its neighbours: int64 [B, L], the oldest event first, V for none."""
        event = tf.reshape(history, [-1])
        splits, position = tf.raw_ops.RaggedRange(
            starts=tf.gather(self._starts, event),
            limits=tf.gather(self._starts, event + 1),
            deltas=tf.constant(1, tf.int64),
            Tsplits=tf.int64,
        )
        source = _segments(splits)
        value = tf.gather(self._value, position) * tf.gather(tf.reshape(self._weights(history), [-1]), source)
        row = source // tf.maximum(tf.shape(history, tf.int64)[1], 1)
        return Cells(row * self._size + tf.cast(tf.gather(self._item, position), tf.int64), value, source)

    def _weights(self, history: tf.Tensor) -> tf.Tensor:
        """float [B, L]: of each event by the number of known ones after it."""
        is_known = tf.cast(history < self._size, tf.float32)
        return tf.pow(self._decay, tf.cumsum(is_known, axis=1, exclusive=True, reverse=True))


class Neighbours(tf.Module):
    """The sum of several kinds.

    Args:
        tables: the kinds.
        size: V.
        weights: of each kind in the tables, for people to read.
    """

    def __init__(
        self, tables: Sequence[NeighbourTable], size: int, weights: Mapping[str, float] = MappingProxyType({})
    ) -> None:
        super().__init__(name="neighbours")
        self.weights = MappingProxyType(dict(weights))
        self._tables = list(tables)
        self._size = size

    def scores(self, history: tf.Tensor) -> tf.Tensor:
        """The scores of all items: int64 [B, L], the oldest event first, V for none -> float [B, V]."""
        cell, value = self._cells(history)
        rows = tf.shape(history, tf.int64)[0]
        return tf.reshape(tf.math.unsorted_segment_sum(value, cell, rows * self._size), [rows, self._size])

    def scores_of(self, history: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        """The same scores of some items, int64 [B, N] in [0, V] -> float [B, N]."""
        cell, value = self._cells(history)
        return sums_of(item, cell, value, self._size)

    def nearest(self, history: tf.Tensor) -> "Nearest":
        """The same scores of the few items that have one."""
        cell, value = self._cells(history)
        return nearest(cell, value, tf.shape(history, tf.int64)[0], self._size)

    def _cells(self, history: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        kinds = [table.cells(history) for table in self._tables]
        return tf.concat([cells.cell for cells in kinds], axis=0), tf.concat([cells.value for cells in kinds], axis=0)


class Nearest(NamedTuple):
    """The items next to each of B histories, and their scores; all others' are 0. Costs the same whatever V is.

    Attributes:
        cell: int64 [N], row x V + item, rising.
        value: float [N], or [N, C] of several scores.
        rows: int64 [], B.
        size: V.
    """

    cell: tf.Tensor
    value: tf.Tensor
    rows: tf.Tensor
    size: int

    def of(self, item: tf.Tensor) -> tf.Tensor:
        """The scores of items, int64 [B, M] in [0, V] -> float [B, M], or [B, M, C]."""
        position, is_there = self._find(self.cell, self._cells_of(item))
        padded = tf.pad(self.value, [[0, 1]] + [[0, 0]] * (self.value.shape.rank - 1))  # zero behind the last cell
        return tf.gather(padded, tf.where(is_there & (item < self.size), position, tf.size(self.cell)))

    def top(self, k: tf.Tensor, exclude: tf.Tensor) -> tf.Tensor:
        """The best items without those of `exclude` int64 [B, E]: int64 [B, K], -1 where there are fewer."""
        is_item = (exclude >= 0) & (exclude < self.size)
        unwanted = tf.sort(tf.boolean_mask(self._cells_of(exclude), is_item))
        wanted = tf.where(~self._find(unwanted, self.cell)[1] & (self.value > 0))[:, 0]
        wanted = tf.gather(wanted, tf.argsort(tf.gather(self.value, wanted), direction="DESCENDING"))
        cell = tf.gather(self.cell, wanted)
        by_row = tf.argsort(cell // self.size, stable=True)
        cell = tf.gather(cell, by_row)
        row = cell // self.size
        starts = tf.searchsorted(row, tf.range(self.rows), out_type=tf.int64)
        rank = tf.range(tf.size(cell, tf.int64)) - tf.gather(starts, row)
        kept = tf.where(rank < tf.cast(k, tf.int64))[:, 0]
        positions = tf.stack([tf.gather(row, kept), tf.gather(rank, kept)], axis=1)
        none = tf.fill(tf.stack([self.rows, tf.cast(k, tf.int64)]), tf.constant(-1, tf.int64))
        return tf.tensor_scatter_nd_update(none, positions, tf.gather(cell, kept) % self.size)

    def _cells_of(self, item: tf.Tensor) -> tf.Tensor:
        return tf.range(self.rows)[:, tf.newaxis] * self.size + item

    @staticmethod
    def _find(cells: tf.Tensor, wanted: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The positions of cells among rising ones, and whether they stand there."""
        position = tf.reshape(tf.searchsorted(cells, tf.reshape(wanted, [-1])), tf.shape(wanted))
        return position, tf.gather(tf.concat([cells, tf.constant([-1], tf.int64)], axis=0), position) == wanted


def sums_of(item: tf.Tensor, cell: tf.Tensor, value: tf.Tensor, size: int) -> tf.Tensor:
    """The sums of what meets in the cells of items, int64 [B, M] in [0, V] -> float [B, M], or [B, M, C].

    Args:
        item: V has no cell.
        cell: int64 [N], row x V + item, in any order.
        value: float [N], or [N, C].
        size: V.
    """
    rows = tf.shape(item, tf.int64)[0]
    if size > _DENSE:
        return nearest(cell, value, rows, size).of(item)
    none = rows * size
    asked = tf.where(item < size, tf.range(rows)[:, tf.newaxis] * size + item, none)
    return tf.gather(tf.math.unsorted_segment_sum(value, cell, none + 1), asked)


def nearest(cell: tf.Tensor, value: tf.Tensor, rows: tf.Tensor, size: int) -> Nearest:
    """Sums what meets in a cell: int64 [N] and float [N], or [N, C], in any order, for B `rows` and V items."""
    found, position = tf.unique(cell)
    order = tf.argsort(found)
    sums = tf.math.unsorted_segment_sum(value, position, tf.size(found))
    return Nearest(tf.gather(found, order), tf.gather(sums, order), rows, size)


def _segments(splits: tf.Tensor) -> tf.Tensor:
    """int64 [S + 1], where segments start and end -> int64 [N], the segment of each position."""
    total = splits[-1]
    ends = tf.math.unsorted_segment_sum(tf.ones_like(splits[1:]), splits[1:], total + 1)
    return tf.cumsum(ends[:-1])
