"""Quantised search: every item is scored in 8 bits, the best are scored again exactly."""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.index import packing
from trainer.index.blocks import BLOCK, top_k
from trainer.index.rerank import RerankedIndex
from trainer.index.sample import FEW


class Int8Index(RerankedIndex):
    """The candidates as small integers, three to a float (`trainer.index.packing`), and their embeddings.

    A score of 8 bits is off by about a quarter of the deviation of a random item's score (D = 64), whatever the
    embeddings are like: the shortlist makes up for it.

    Args:
        embeddings: float32 [V + 1, D], V > 0; the last row is the unknown item's.
        queries: float32 [N, D], a sample of queries; how far each dimension spreads in them is looked at.
        shortlist: the items that are scored exactly.
    """

    kind = "int8"
    rows = FEW
    most_queries = FEW

    def __init__(
        self, embeddings: NDArray[Any], queries: NDArray[Any], shortlist: int, name: str = "int8_index"
    ) -> None:
        super().__init__(embeddings, shortlist, name)
        vectors = embeddings[:-1] - embeddings[:-1].mean(axis=0)
        scales = packing.Scales.of(vectors, queries)
        vectors = (vectors * scales.item).astype(np.float32)
        norm = np.linalg.norm(vectors, axis=1).max()
        integers = packing.quantise(vectors, np.full(len(vectors), norm), packing.EVEN)
        self._length = packing.query_length(integers)
        filled = np.pad(integers, [(0, -len(integers) % (packing.FIELDS * BLOCK)), (0, 0)])
        self._lanes = len(filled) // packing.FIELDS
        fields = filled.reshape(packing.FIELDS, self._lanes, -1).transpose(1, 0, 2)
        with self.name_scope:
            self.packed = tf.Variable(np.ascontiguousarray(packing.pack(fields).T), trainable=False, name="packed")
            self.query_scale = tf.Variable(scales.query, trainable=False, name="query_scale")

    @property
    def scanned(self) -> list[tf.Variable]:
        """The tables that a query is compared with."""
        return [self.packed]

    def candidates(self, query: tf.Tensor, length: tf.Tensor, depth: tf.Tensor) -> tf.Tensor:
        """As `RerankedIndex.candidates`."""
        integers, _ = packing.quantise_query(query * self.query_scale, self._length)
        scores = packing.unpack_bytes(tf.matmul(integers, self.packed))
        scores = tf.reshape(scores, [tf.shape(query)[0], self._lanes * 4])
        _, place = top_k(scores, tf.minimum(length, scores.shape[1]))
        return tf.sort(tf.cast(place % 4 * self._lanes + place // 4, tf.int32), axis=1)
