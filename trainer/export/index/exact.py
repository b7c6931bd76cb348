"""Exact top-K search: every item is scored, and the best K are found block by block."""

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.metrics.ranks import mask_items

TOP = 100
"""The K that indexes are tuned for."""
SMALL_BATCH = 4
"""Up to so many queries are searched by every index as one is; some score every item for more."""
BLOCK = 64
"""Scores in a block. The search sorts V / block maxima, then K blocks: about the square root of V / K is best."""
_UNBLOCKED = 1 << 14
"""Of so few scores the best are found as fast without blocks."""


class Index(tf.Module):
    """The candidates' embeddings, searched by dot product.

    Attributes:
        kind: the name of the method, as in `serving.index`.
        size: V, the number of items that can be found.
        lookup_ratio: looking n items up is faster than scoring all where n x `lookup_ratio` <= V.
    """

    kind: str
    size: int
    lookup_ratio: int

    @abstractmethod
    def padded_scores(self, query: tf.Tensor) -> tf.Tensor:
        """Scores all items exactly, and what pads the last block: float [B, D] -> [B, V'], V' a multiple of `BLOCK`."""

    def scores(self, query: tf.Tensor) -> tf.Tensor:
        """Scores all items exactly: float [B, D] -> [B, V]."""
        return self.padded_scores(query)[:, : self.size]

    @abstractmethod
    def search(self, query: tf.Tensor, k: tf.Tensor, exclude: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Finds the best items; of equal scores the smaller index comes first. Scores are exact in every index.

        Args:
            query: float [B, D].
            k: int32 [], a positive number.
            exclude: int64 [B, E], items to leave out; entries outside [0, V) are padding.

        Returns:
            scores float [B, K] and items int64 [B, K], K = min(k, V). Where a row has fewer items left, the score is
            minus infinity and the item -1.
        """

    @abstractmethod
    def embeddings(self, items: tf.Tensor) -> tf.Tensor:
        """Looks embeddings up: int64 [...] in [0, V] -> float [..., D]."""

    @abstractmethod
    def hide(self, items: NDArray[np.int64], column: int) -> None:
        """Gives items int64 [n] the score minus infinity for every query whose number in the column is positive."""

    @property
    @abstractmethod
    def scanned(self) -> list[tf.Variable]:
        """Returns the tables that a query is compared with; in others only the best items are looked up."""

    @property
    def parameters(self) -> dict[str, int]:
        """Returns the parameters that were chosen for this catalogue, by name."""
        return {}

    @property
    def scanned_bytes(self) -> int:
        """Returns the bytes of the tables that a query is compared with."""
        return _bytes(self.scanned)

    @property
    def total_bytes(self) -> int:
        """Returns the bytes of all tables."""
        return _bytes(self.variables)


def _bytes(tables: Iterable[tf.Variable]) -> int:
    return sum(int(table.shape.num_elements() * table.dtype.size) for table in tables)


def top_k(scores: tf.Tensor, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Finds the best k as `tf.math.top_k` does, two to ten times as fast.

    The best k lie in the k blocks with the highest maxima, as a score of any other block has k scores ahead of it. For
    example, with blocks of 2 the scores [1, 7 | 9, 2 | 8, 3] have the maxima [7, 9, 8]; the best 2 lie in the blocks 1
    and 2, whose scores [9, 2, 8, 3] have the best positions 0 and 2, which are the items 2 and 4.

    The blocks stay in the order of their indexes, so that of equal scores the smaller position comes first.

    Args:
        scores: [B, V], V a static multiple of `BLOCK`.
        k: int32 [], at most V.

    Returns:
        values [B, k] and positions int64 [B, k].
    """
    rows = tf.shape(scores)[0]
    blocks = tf.reshape(scores, [rows, scores.shape[1] // BLOCK, BLOCK])
    maxima = tf.reduce_max(blocks, axis=2)
    best_blocks = tf.math.top_k(maxima, tf.minimum(k, maxima.shape[1]), sorted=False).indices
    best_blocks = tf.sort(best_blocks, axis=1)
    shortlist = tf.reshape(tf.gather(blocks, best_blocks, batch_dims=1), [rows, -1])
    best, positions = tf.math.top_k(shortlist, k)
    items = tf.gather(best_blocks, positions // BLOCK, batch_dims=1) * BLOCK + positions % BLOCK
    return best, tf.cast(items, tf.int64)


def masked_top_k(scores: tf.Tensor, size: int, k: tf.Tensor, exclude: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Answers `Index.search` from the padded scores [B, V'] of V = `size` items."""
    if size <= _UNBLOCKED:
        return _finite_top_k(mask_items(scores[:, :size], exclude), size, k)
    padding = tf.range(size, scores.shape[1], dtype=tf.int64)
    padding = tf.broadcast_to(padding, [tf.shape(scores)[0], scores.shape[1] - size])
    return _finite_top_k(mask_items(scores, tf.concat([exclude, padding], axis=1)), size, k)


def wanted_top_k(scores: tf.Tensor, k: tf.Tensor, is_wanted: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Finds the best of the wanted items, bool [B, V], from padded scores [B, V']."""
    size = is_wanted.shape[1]
    if size <= _UNBLOCKED:
        return _finite_top_k(tf.where(is_wanted, scores[:, :size], float("-inf")), size, k)
    is_wanted = tf.pad(is_wanted, [[0, 0], [0, scores.shape[1] - size]])
    return _finite_top_k(tf.where(is_wanted, scores, float("-inf")), size, k)


def _finite_top_k(scores: tf.Tensor, size: int, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The best min(k, V) scores and items; the item -1 where the score is minus infinity."""
    search = tf.math.top_k if size <= _UNBLOCKED else top_k
    best, items = search(scores, tf.minimum(k, size))
    return best, tf.where(best > best.dtype.min, tf.cast(items, tf.int64), -1)


class ExactIndex(Index):
    """The candidates' embeddings as one table, dimension by item, that queries are multiplied with.

    Transposed, the product with a batch is four times as fast (with one query it is the same). The table is padded to
    whole blocks.

    Args:
        embeddings: float32 [V + 1, D], V > 0. The last row is the unknown item's: it can be looked up, never found.

    Raises:
        ValueError: `embeddings` has another shape.
    """

    kind = "exact"
    lookup_ratio = 512  # an item is a column, whose numbers lie far apart

    def __init__(self, embeddings: NDArray[Any], name: str = "exact_index") -> None:
        super().__init__(name=name)
        self.size = item_count(embeddings)
        with self.name_scope:
            padded = np.pad(embeddings.astype(np.float32), [(0, -len(embeddings) % BLOCK), (0, 0)])
            self.table = tf.Variable(np.ascontiguousarray(padded.T), trainable=False, name="table")

    @property
    def scanned(self) -> list[tf.Variable]:
        """The tables that a query is compared with."""
        return [self.table]

    def hide(self, items: NDArray[np.int64], column: int) -> None:
        """As `Index.hide`."""
        if len(items):
            table = self.table.numpy()
            table[column, items] = -np.inf
            self.table.assign(table)

    def padded_scores(self, query: tf.Tensor) -> tf.Tensor:
        """As `Index.padded_scores`."""
        return tf.matmul(query, self.table)

    def search(self, query: tf.Tensor, k: tf.Tensor, exclude: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """As `Index.search`."""
        return masked_top_k(self.padded_scores(query), self.size, k, exclude)

    def embeddings(self, items: tf.Tensor) -> tf.Tensor:
        """Looks embeddings up: int64 [...] in [0, V] -> float [..., D]."""
        flat = tf.gather(self.table, tf.reshape(items, [-1]), axis=1)
        return tf.reshape(tf.transpose(flat), tf.concat([tf.shape(items), [self.table.shape[0]]], axis=0))


def item_count(embeddings: NDArray[Any]) -> int:
    """Returns V of embeddings [V + 1, D].

    Raises:
        ValueError: `embeddings` has another shape.
    """
    if embeddings.ndim != 2 or len(embeddings) < 2:
        raise ValueError(f"`embeddings` should have the shape [V + 1, D] with V > 0. Received: {embeddings.shape}")
    return len(embeddings) - 1
