"""Exact top-K search: every item is scored, the best K are found block by block."""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.index.base import Index
from trainer.index.blocks import BLOCK, masked_top_k


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
    few = 512  # an item is a column: each of its numbers lies in another place

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
