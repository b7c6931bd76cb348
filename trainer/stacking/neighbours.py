"""Scores of items by the neighbourhoods of a history's items, on flat cells row x V + item."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
import scipy.sparse as sp
import tensorflow as tf
from numpy.typing import NDArray

_DENSE: Final = 1 << 14
"""Up to so many items, summing over all of them is faster than finding which of them have a score."""


class Cells(NamedTuple):
    """What the events of B histories add to the scores of their neighbours; several events may share a cell.

    With V = 4, an event at position 1 of row 2 that adds 0.5 to item 3 is the cell 2 x 4 + 3 = 11 with the value 0.5
    and the event 2 x L + 1.

    Attributes:
        cell: int64 [N], row x V + item.
        value: float [N].
        event: int64 [N], row x L + position of the event.
    """

    cell: tf.Tensor
    value: tf.Tensor
    event: tf.Tensor


class NeighbourTable(tf.Module):
    """One kind of neighbourhood: an item's score is the sum of the links from the history's items.

    Args:
        links: float32 [V, V], what the row's item in a history adds to the column's item.
        decay: An event with n newer ones is weighted by decay ** n.
        name: The module's name.
    """

    def __init__(self, links: sp.csr_matrix, decay: float, name: str) -> None:
        super().__init__(name=name)
        self._size = links.shape[0]
        self._decay = decay
        starts = np.append(links.indptr, links.indptr[-1]).astype(np.int64)  # the row of the unknown item V is empty
        with self.name_scope:
            self._starts = tf.Variable(starts, trainable=False, name="starts")
            self._item = tf.Variable(links.indices.astype(np.int32), trainable=False, name="item")
            self._value = tf.Variable(links.data.astype(np.float32), trainable=False, name="value")

    @property
    def decay(self) -> float:
        """The factor by which an event weighs less for each newer one."""
        return self._decay

    @property
    def arrays(self) -> dict[str, tf.Variable]:
        """The links by name, for `links_of`."""
        return {"starts": self._starts, "item": self._item, "value": self._value}

    def cells(self, history: tf.Tensor) -> Cells:
        """Looks up the links of each event: int64 [B, L], the oldest event first, V for none."""
        event = tf.reshape(history, [-1])
        splits, position = tf.raw_ops.RaggedRange(
            starts=tf.gather(self._starts, event),
            limits=tf.gather(self._starts, event + 1),
            deltas=tf.constant(1, tf.int64),
            Tsplits=tf.int64,
        )
        # From row splits to the event of each link: [0, 2, 2, 3] -> [0, 0, 2].
        ends = tf.math.unsorted_segment_sum(tf.ones_like(splits[1:]), splits[1:], splits[-1] + 1)
        source = tf.cumsum(ends[:-1])
        is_known = tf.cast(history < self._size, tf.float32)
        weight = tf.pow(self._decay, tf.cumsum(is_known, axis=1, exclusive=True, reverse=True))
        value = tf.gather(self._value, position) * tf.gather(tf.reshape(weight, [-1]), source)
        row = source // tf.maximum(tf.shape(history, tf.int64)[1], 1)
        return Cells(row * self._size + tf.cast(tf.gather(self._item, position), tf.int64), value, source)


def links_of(arrays: Mapping[str, NDArray[Any]], size: int) -> sp.csr_matrix:
    """Builds links, float32 [V', V'], from the arrays of a table of at most V' = `size` items; new items have none."""
    starts = arrays["starts"][:-1]
    starts = np.pad(starts, (0, size + 1 - len(starts)), mode="edge")
    return sp.csr_matrix((arrays["value"], arrays["item"], starts), shape=(size, size))


class Neighbours(tf.Module):
    """The sum of several kinds of neighbourhoods.

    Args:
        tables: The kinds, with their weights in the links.
        size: V.
        weights: The weight of each kind, for reports.

    Attributes:
        tables: The kinds.
        weights: The weight of each kind.
    """

    def __init__(
        self, tables: Sequence[NeighbourTable], size: int, weights: Mapping[str, float] = MappingProxyType({})
    ) -> None:
        super().__init__(name="neighbours")
        self.weights = MappingProxyType(dict(weights))
        self.tables = list(tables)
        self._size = size

    def scores(self, history: tf.Tensor) -> tf.Tensor:
        """Computes the scores of all items: int64 [B, L], the oldest event first, V for none -> float [B, V]."""
        cell, value = self.cells(history)
        rows = tf.shape(history, tf.int64)[0]
        return tf.reshape(tf.math.unsorted_segment_sum(value, cell, rows * self._size), [rows, self._size])

    def scores_of(self, history: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        """Computes the scores of given items, int64 [B, N] in [0, V] -> float [B, N]."""
        cell, value = self.cells(history)
        return sums_of(item, cell, value, self._size)

    def nearest(self, history: tf.Tensor) -> "Nearest":
        """Computes the scores of only those items that have one."""
        cell, value = self.cells(history)
        return nearest(cell, value, tf.shape(history, tf.int64)[0], self._size)

    def cells(self, history: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Looks up the flat cells row x V + item with something to add, int64 [N], and what: float [N]."""
        kinds = [table.cells(history) for table in self.tables]
        return tf.concat([cells.cell for cells in kinds], axis=0), tf.concat([cells.value for cells in kinds], axis=0)


class Nearest(NamedTuple):
    """The items with a score for each of B histories; all others have the score 0. The cost does not depend on V.

    Attributes:
        cell: int64 [N], row x V + item, ascending and distinct.
        value: float [N], or [N, C] for C scores.
        rows: int64 [], B.
        size: V.
    """

    cell: tf.Tensor
    value: tf.Tensor
    rows: tf.Tensor
    size: int

    def of(self, item: tf.Tensor) -> tf.Tensor:
        """Looks up the scores of items, int64 [B, M] in [0, V] -> float [B, M] or [B, M, C]."""
        position, is_found = self._find(self.cell, self._cells_of(item))
        padded = tf.pad(self.value, [[0, 1]] + [[0, 0]] * (self.value.shape.rank - 1))  # zero behind the last cell
        return tf.gather(padded, tf.where(is_found & (item < self.size), position, tf.size(self.cell)))

    def top(self, k: tf.Tensor, exclude: tf.Tensor) -> tf.Tensor:
        """Finds the K best items with a positive score.

        Sorts all cells by score and then, keeping that order, by row. An item's rank is its distance from its row's
        first cell: rows [0, 0, 0, 2] have the first cells 0, 3 and 3 and the ranks [0, 1, 2, 0].

        Args:
            k: int [], K.
            exclude: int64 [B, E], items that are left out; values outside [0, V) are ignored.

        Returns:
            int64 [B, K], the best item first, -1 where a row has fewer.
        """
        is_item = (exclude >= 0) & (exclude < self.size)
        excluded = tf.sort(tf.boolean_mask(self._cells_of(exclude), is_item))
        allowed = tf.where(~self._find(excluded, self.cell)[1] & (self.value > 0))[:, 0]
        allowed = tf.gather(allowed, tf.argsort(tf.gather(self.value, allowed), direction="DESCENDING"))
        cell = tf.gather(self.cell, allowed)
        cell = tf.gather(cell, tf.argsort(cell // self.size, stable=True))
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
        """Returns the positions of cells in ascending ones by binary search, and whether each is there."""
        position = tf.reshape(tf.searchsorted(cells, tf.reshape(wanted, [-1])), tf.shape(wanted))
        return position, tf.gather(tf.concat([cells, tf.constant([-1], tf.int64)], axis=0), position) == wanted


def sums_of(item: tf.Tensor, cell: tf.Tensor, value: tf.Tensor, size: int) -> tf.Tensor:
    """Sums the values in the cells of given items.

    Args:
        item: int64 [B, M] in [0, V]; the unknown item V has no cell.
        cell: int64 [N], row x V + item, in any order.
        value: float [N], or [N, C].
        size: V.

    Returns:
        float [B, M], or [B, M, C]; 0 for items without a cell.
    """
    rows = tf.shape(item, tf.int64)[0]
    if size > _DENSE:
        return nearest(cell, value, rows, size).of(item)
    none = rows * size
    wanted = tf.where(item < size, tf.range(rows)[:, tf.newaxis] * size + item, none)
    return tf.gather(tf.math.unsorted_segment_sum(value, cell, none + 1), wanted)


def nearest(cell: tf.Tensor, value: tf.Tensor, rows: tf.Tensor, size: int) -> Nearest:
    """Sums the values of each cell: int64 [N] and float [N] or [N, C], in any order, for B `rows` and V items."""
    distinct, position = tf.unique(cell)
    order = tf.argsort(distinct)
    sums = tf.math.unsorted_segment_sum(value, position, tf.size(distinct))
    return Nearest(tf.gather(distinct, order), tf.gather(sums, order), rows, size)
