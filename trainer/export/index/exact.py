"""Exact top-K search: every item is scored, the best K are found block by block."""

from abc import abstractmethod
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.metrics.ranks import mask_items


class Index(tf.Module):
    """The candidates' embeddings, searched by dot product.

    Attributes:
        kind: the name of the method, as in `serving.index`.
        size: V, the number of items that can be found.
        few: up to one in so many items are looked up faster than all are scored.
    """

    kind: str
    size: int
    few: int

    @abstractmethod
    def filled_scores(self, query: tf.Tensor) -> tf.Tensor:
        """The exact scores of all items, and whatever fills the last block: float [B, D] -> [B, whole blocks]."""

    def scores(self, query: tf.Tensor) -> tf.Tensor:
        """The exact scores of all items: float [B, D] -> [B, V]."""
        return self.filled_scores(query)[:, : self.size]

    @abstractmethod
    def search(self, query: tf.Tensor, k: tf.Tensor, exclude: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Finds the best items; of equal scores the smaller index comes first. Scores are exact in every index.

        Args:
            query: float [B, D].
            k: int32 [], a positive number.
            exclude: int64 [B, E], items that are not wanted; entries outside [0, V) are padding.

        Returns:
            scores float [B, K] and items int64 [B, K], K = min(k, V). Where a row has fewer items left, the score is
            minus infinity and the item -1.
        """

    @abstractmethod
    def embeddings(self, items: tf.Tensor) -> tf.Tensor:
        """The embeddings of items: int64 [...] in [0, V] -> float [..., D]."""

    @property
    @abstractmethod
    def scanned(self) -> list[tf.Variable]:
        """The tables that a query is compared with; in others only the best items are looked up."""

    @property
    def parameters(self) -> dict[str, int]:
        """What was chosen for this catalogue, by name."""
        return {}

    @property
    def scanned_bytes(self) -> int:
        """Bytes of the tables that a query is compared with."""
        return sum(_bytes(table) for table in self.scanned)

    @property
    def total_bytes(self) -> int:
        """Bytes of all tables."""
        return sum(_bytes(table) for table in self.variables)


def _bytes(table: tf.Variable) -> int:
    return int(table.shape.num_elements() * table.dtype.size)


BLOCK = 64
"""Scores in a block. The search sorts V / block maxima, then K blocks: about the square root of V / K is best."""
_FEW = 1 << 14
"""Of so few scores the best are found as fast without blocks."""


def top_k(scores: tf.Tensor, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """`tf.math.top_k` of [B, n blocks], twice to ten times as fast; of equal scores the smaller position comes first.

    The best k lie in the k blocks with the highest maxima: a score of any other block has k scores ahead of it.
    The blocks are put in the order of their indexes, so that equal scores keep theirs.

    Args:
        scores: [B, V], V a multiple of `BLOCK` and known.
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
    """The answer of `Index.search` from all scores [B, V'], of which those from `size` on are filling."""
    k = tf.minimum(k, size)
    if size <= _FEW:
        best, positions = tf.math.top_k(mask_items(scores[:, :size], exclude), k)
        items = tf.cast(positions, tf.int64)
    else:
        filling = tf.range(size, scores.shape[1], dtype=tf.int64)
        filling = tf.broadcast_to(filling, [tf.shape(scores)[0], scores.shape[1] - size])
        best, items = top_k(mask_items(scores, tf.concat([exclude, filling], axis=1)), k)
    return best, tf.where(best > best.dtype.min, items, -1)


def wanted_top_k(scores: tf.Tensor, k: tf.Tensor, is_wanted: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The best of the wanted items, bool [B, V], from all scores [B, V'], of which those from V on are filling."""
    size = is_wanted.shape[1]
    k = tf.minimum(k, size)
    if size <= _FEW:
        best, positions = tf.math.top_k(tf.where(is_wanted, scores[:, :size], float("-inf")), k)
        items = tf.cast(positions, tf.int64)
    else:
        is_wanted = tf.pad(is_wanted, [[0, 0], [0, scores.shape[1] - size]])
        best, items = top_k(tf.where(is_wanted, scores, float("-inf")), k)
    return best, tf.where(best > best.dtype.min, items, -1)


class ExactIndex(Index):
    """The candidates' embeddings as one table, dimension by item, that a query is multiplied with.

    The table lies transposed because that makes the product of a batch four times as fast as the other way around
    (one query: the same), and is filled up to whole blocks.

    Args:
        embeddings: float32 [V + 1, D], V > 0. The last row is the unknown item's: it can be looked up, never found.

    Raises:
        ValueError: `embeddings` has another shape.
    """

    kind = "exact"
    few = 512  # an item is a column: each of its numbers lies in another position

    def __init__(self, embeddings: NDArray[Any], name: str = "exact_index") -> None:
        super().__init__(name=name)
        self.size = item_count(embeddings)
        with self.name_scope:
            filled = np.pad(embeddings.astype(np.float32), [(0, -len(embeddings) % BLOCK), (0, 0)])
            self.table = tf.Variable(np.ascontiguousarray(filled.T), trainable=False, name="table")

    @property
    def scanned(self) -> list[tf.Variable]:
        """The tables that a query is compared with."""
        return [self.table]

    def filled_scores(self, query: tf.Tensor) -> tf.Tensor:
        """As `Index.filled_scores`."""
        return tf.matmul(query, self.table)

    def search(self, query: tf.Tensor, k: tf.Tensor, exclude: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """As `Index.search`."""
        return masked_top_k(self.filled_scores(query), self.size, k, exclude)

    def embeddings(self, items: tf.Tensor) -> tf.Tensor:
        """The embeddings of items: int64 [...] in [0, V] -> float [..., D]."""
        flat = tf.gather(self.table, tf.reshape(items, [-1]), axis=1)
        return tf.reshape(tf.transpose(flat), tf.concat([tf.shape(items), [self.table.shape[0]]], axis=0))


def item_count(embeddings: NDArray[Any]) -> int:
    """V of embeddings [V + 1, D].

    Raises:
        ValueError: `embeddings` has another shape.
    """
    if embeddings.ndim != 2 or len(embeddings) < 2:
        raise ValueError(f"`embeddings` should have the shape [V + 1, D] with V > 0. Received: {embeddings.shape}")
    return len(embeddings) - 1
