"""A sample of queries with their exact best items: what an index is tuned and measured with."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.export.index.exact import Index

TOP = 100
"""The K that indexes are tuned for."""
_CELLS = 1 << 25
FEW = 4
"""Queries in a call that every index searches as it searches one; some score everything for more."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Sample:
    """Queries and the answers that an index should find.

    Attributes:
        queries: float32 [N, D].
        top: int64 [N, min(100, V)], the best items.
    """

    queries: Floats
    top: NDArray[np.int64]

    @classmethod
    def of(cls, items: Floats, queries: NDArray[Any], count: int) -> "Sample":
        """Draws at most `count` of the queries [N, D], and ranks all items [V, D] for each."""
        positions = np.random.default_rng(0).permutation(len(queries))[:count]
        drawn = queries[positions].astype(np.float32)
        rows, table, k = max(1, _CELLS // len(items)), tf.constant(items), min(TOP, len(items))
        blocks = [drawn[i : i + rows] for i in range(0, len(drawn), rows)]
        best = [tf.math.top_k(tf.matmul(b, table, transpose_b=True), k).indices.numpy() for b in blocks]
        return cls(drawn, np.concatenate(best).astype(np.int64))

    def recall(self, index: Index) -> float:
        """The share of the best items that an index finds."""
        k = tf.constant(self.top.shape[1])

        @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, self.queries.shape[1]])])
        def search(query: tf.Tensor) -> tf.Tensor:
            return index.search(query, k, tf.zeros([tf.shape(query)[0], 0], tf.int64))[1]

        found = [search(self.queries[i : i + FEW]).numpy() for i in range(0, len(self.queries), FEW)]
        hits = [np.isin(best, row).mean() for best, row in zip(self.top, np.concatenate(found), strict=True)]
        return float(np.mean(hits))
