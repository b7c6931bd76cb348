"""Quantised search: scores of 8 bits choose a shortlist, whose items are then scored exactly."""

from abc import abstractmethod
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.data.blocks import in_row_blocks
from trainer.export.index import packing
from trainer.export.index.exact import BLOCK, SMALL_BATCH, TOP, Index, item_count, masked_top_k, top_k

Found = tuple[tf.Tensor, tf.Tensor]
"""Scores float [B, K] and items int64 [B, K]."""

MAX_SHORTLIST = 8192
"""A longer shortlist costs more than scoring every item."""

_SCORE, _ITEM = "score", "item"


class RerankedIndex(Index):
    """The base of the quantised and the partitioned index, which find shortlists in different ways.

    The answer is exact but for items that the shortlist misses. Excluded items take no room from others: the shortlist
    is longer by as many. Where the shortlist is no help (too many items are wanted or excluded, too many queries come
    at once, or it held fewer items than there are), every item is scored.

    Args:
        embeddings: float32 [V + 1, D], V > 0. The last row is the unknown item's: it can be looked up, never found.
        shortlist: the number of items that are scored exactly when at most `TOP` are wanted and none is excluded; it
            grows in proportion to the wanted items.

    Raises:
        ValueError: `embeddings` has another shape.
    """

    lookup_ratio = 16
    rows: int
    """The number of queries whose shortlists are found at once."""
    max_queries: int
    """More queries in a call are answered faster by one product with all items."""

    def __init__(self, embeddings: NDArray[Any], shortlist: int, name: str) -> None:
        super().__init__(name=name)
        self.size = item_count(embeddings)
        self.shortlist = shortlist
        with self.name_scope:
            filled = np.pad(embeddings.astype(np.float32), [(0, -len(embeddings) % BLOCK), (0, 0)])
            self.table = tf.Variable(filled, trainable=False, name="table")

    @property
    def parameters(self) -> dict[str, int]:
        """Returns the parameters that were chosen for this catalogue, by name."""
        return {"shortlist": self.shortlist}

    def hide(self, items: NDArray[np.int64], column: int) -> None:
        """As `Index.hide`; the scan, which knows nothing of it, should find them last."""
        if len(items):
            table = self.table.numpy()
            table[items, column] = -np.inf
            self.table.assign(table)

    def padded_scores(self, query: tf.Tensor) -> tf.Tensor:
        """As `Index.padded_scores`."""
        return tf.matmul(query, self.table, transpose_b=True)

    def embeddings(self, items: tf.Tensor) -> tf.Tensor:
        """Looks embeddings up: int64 [...] in [0, V] -> float [..., D]."""
        # A gather from the variable itself would make every later read of the whole table copy it (TensorFlow's
        # EnsureSparseVariableAccess), which takes five times as long as a product with it.
        return tf.gather(tf.convert_to_tensor(self.table), items)

    def search(self, query: tf.Tensor, k: tf.Tensor, exclude: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """As `Index.search`."""
        k = tf.minimum(k, self.size)
        found = -(-self.shortlist * tf.maximum(k, TOP) // TOP)
        excluded = tf.shape(exclude)[1]
        length = tf.maximum(found, k) + excluded
        depth = k + excluded // 4  # Most of a user's earlier items are not near the query.

        def search_shortlist() -> Found:
            kinds = {_SCORE: tf.float32, _ITEM: tf.int64}
            found = in_row_blocks(
                lambda q, e: self._best(q, e, k, length, depth), (query, exclude), self.rows, kinds, parallel=10
            )
            return found[_SCORE], found[_ITEM]

        def nothing() -> Found:
            shape = [tf.shape(query)[0], k]
            return tf.fill(shape, float("-inf")), tf.fill(shape, tf.constant(-1, tf.int64))

        is_quick = (length <= min(MAX_SHORTLIST, self.size)) & (tf.shape(query)[0] <= self.max_queries)
        best, items = tf.cond(is_quick, search_shortlist, nothing)
        return tf.cond(
            tf.reduce_any(items < 0),
            lambda: masked_top_k(self.padded_scores(query), self.size, k, exclude),
            lambda: (best, items),
        )

    @abstractmethod
    def candidates(self, query: tf.Tensor, length: tf.Tensor, depth: tf.Tensor) -> tf.Tensor:
        """Finds the shortlists of at most `rows` queries.

        Args:
            query: float [R, D].
            length: int32 [], the number of candidates, if there are so many.
            depth: int32 [], the number of best items most of which should be among the candidates.

        Returns:
            int32 [R, N], distinct items in ascending order; V and above are padding.
        """

    def _best(
        self, query: tf.Tensor, exclude: tf.Tensor, k: tf.Tensor, length: tf.Tensor, depth: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """The best k items of the shortlist; the item -1 and minus infinity behind the last."""
        items = tf.cast(self.candidates(query, length, depth), tf.int64)
        is_wanted = (items < self.size) & ~_is_among(items, exclude)
        vectors = self.embeddings(tf.minimum(items, self.size))
        # A product with one query is much faster as that of two matrices.
        scores = tf.matmul(query, vectors[0], transpose_b=True) if self.rows == 1 else tf.linalg.matvec(vectors, query)
        scores = tf.where(is_wanted, scores, float("-inf"))
        lacking = tf.maximum(k - tf.shape(items)[1], 0)
        scores = tf.pad(scores, [[0, 0], [0, lacking]], constant_values=float("-inf"))
        best, position = tf.math.top_k(scores, k)
        items = tf.gather(tf.pad(items, [[0, 0], [0, lacking]]), position, batch_dims=1)
        return {_SCORE: best, _ITEM: tf.where(best > best.dtype.min, items, -1)}


class Int8Index(RerankedIndex):
    """Scans all candidates as small integers, three to a float (`trainer.export.index.packing`).

    The error of an 8-bit score is about a quarter of the deviation of a random item's score (D = 64), whatever the
    embeddings are; the shortlist makes up for it.

    Args:
        embeddings: float32 [V + 1, D], V > 0; the last row is the unknown item's.
        queries: float32 [N, D], a sample of queries, by whose spread in each dimension items are scaled.
        shortlist: the number of items that are scored exactly.
    """

    kind = "int8"
    rows = SMALL_BATCH
    max_queries = SMALL_BATCH

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
        """Returns the tables that a query is compared with."""
        return [self.packed]

    def candidates(self, query: tf.Tensor, length: tf.Tensor, depth: tf.Tensor) -> tf.Tensor:
        """As `RerankedIndex.candidates`.

        A lane holds three items and unpacks into four bytes, the last of them empty: with L lanes the byte b of lane l,
        at the position 4 l + b, is the score of the item b L + l.
        """
        integers, _ = packing.quantise_query(query * self.query_scale, self._length)
        scores = packing.unpack_bytes(tf.matmul(integers, self.packed))
        scores = tf.reshape(scores, [tf.shape(query)[0], self._lanes * 4])
        _, position = top_k(scores, tf.minimum(length, scores.shape[1]))
        return tf.sort(tf.cast(position % 4 * self._lanes + position // 4, tf.int32), axis=1)


def _packed(items: NDArray[Any], queries: NDArray[Any]) -> tuple[NDArray[np.float32], float, NDArray[np.float32]]:
    """Packs items [V, D] into lanes [D, L], the item i into the lane i modulo L.

    For example, with L = 64 the lane 2 holds the items 2, 66 and 130.

    Returns:
        The lanes, the greatest length of the quantised items, and the queries' scale [D].
    """
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


def _is_among(items: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Whether items [B, N] are among others [B, E]: [[3, 5]], [[5, 9]] -> [[F, T]]."""
    others = tf.pad(tf.sort(others, axis=1), [[0, 0], [0, 1]], constant_values=others.dtype.max)
    return tf.equal(tf.gather(others, tf.searchsorted(others, items), batch_dims=1), items)
