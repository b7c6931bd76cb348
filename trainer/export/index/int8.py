"""Quantised search: every item is scored in 8 bits, the best are scored again exactly."""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.export.index import packing
from trainer.export.index.exact import BLOCK, top_k
from trainer.export.index.rerank import RerankedIndex
from trainer.export.index.sample import FEW


class Int8Index(RerankedIndex):
    """The candidates as small integers, three to a float (`trainer.export.index.packing`), and their embeddings.

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
        lanes, item_length, scale = _packed(embeddings[:-1], queries)
        self._length = packing.query_length(item_length, len(scale))
        self._lanes = lanes.shape[1]
        with self.name_scope:
            self.packed = tf.Variable(lanes, trainable=False, name="packed")
            self.query_scale = tf.Variable(scale, trainable=False, name="query_scale")

    @property
    def scanned(self) -> list[tf.Variable]:
        """The tables that a query is compared with."""
        return [self.packed]

    def candidates(self, query: tf.Tensor, length: tf.Tensor, depth: tf.Tensor) -> tf.Tensor:
        """As `RerankedIndex.candidates`."""
        integers, _ = packing.quantise_query(query * self.query_scale, self._length)
        scores = packing.unpack_bytes(tf.matmul(integers, self.packed))
        scores = tf.reshape(scores, [tf.shape(query)[0], self._lanes * 4])
        _, position = top_k(scores, tf.minimum(length, scores.shape[1]))
        return tf.sort(tf.cast(position % 4 * self._lanes + position // 4, tf.int32), axis=1)


def _packed(items: NDArray[Any], queries: NDArray[Any]) -> tuple[NDArray[np.float32], float, NDArray[np.float32]]:
    """Items [V, D] as lanes [D, L] (item i is in lane i modulo L), their greatest length, and the queries' scale."""
    mean = items.mean(axis=0, dtype=np.float64).astype(np.float32)
    sample = np.random.default_rng(0).permutation(len(items))[: packing.CHUNK]
    scales = packing.Scales.of(items[sample] - mean, queries)

    def scaled(begin: int, end: int) -> NDArray[np.float32]:
        rows = items[begin:end].astype(np.float32) - mean
        filled = np.zeros((end - begin, len(mean)), np.float32)
        filled[: len(rows)] = rows * scales.item
        return filled

    blocks = range(0, len(items), packing.CHUNK)
    norm = max(float(np.linalg.norm(scaled(i, i + packing.CHUNK), axis=1).max()) for i in blocks)
    count = -(-len(items) // (packing.FIELDS * BLOCK)) * BLOCK
    lanes, longest = np.empty((len(mean), count), np.float32), 1.0
    for begin in range(0, count, packing.CHUNK):
        end = min(begin + packing.CHUNK, count)
        fields = np.stack([scaled(f * count + begin, f * count + end) for f in range(packing.FIELDS)], axis=1)
        integers = packing.quantise(
            fields.reshape(-1, len(mean)), np.full(fields.size // len(mean), norm), packing.EVEN
        )
        longest = max(longest, packing.longest(integers))
        lanes[:, begin:end] = packing.pack(integers.reshape(fields.shape)).T
    return lanes, longest, scales.query
