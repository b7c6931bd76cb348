"""A search in two steps: a quick one names a shortlist, whose items are then scored exactly."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.export.index.exact import BLOCK, Index, item_count, masked_top_k
from trainer.export.index.sample import TOP

Found = tuple[tf.Tensor, tf.Tensor]
"""Scores float [B, K] and items int64 [B, K]."""

LONGEST = 8192
"""A longer shortlist costs more than to score every item."""


class RerankedIndex(Index):
    """What the quantised and the partitioned index share.

    The answer is exact but for the items that the shortlist missed. Excluded items take no position from others: the
    shortlist is longer by as many. Where the quick search is no help (so many items are wanted or excluded, so many
    queries come at once, or it found fewer than there are), every item is scored.

    Args:
        embeddings: float32 [V + 1, D], V > 0. The last row is the unknown item's: it can be looked up, never found.
        shortlist: the items that are scored exactly when at most `TOP` are wanted and none is excluded;
            in proportion more for more.

    Raises:
        ValueError: `embeddings` has another shape.
    """

    few = 16
    rows: int
    """Queries whose shortlists are found at once."""
    most_queries: int
    """More queries in a call are faster answered by one product with all items."""

    def __init__(self, embeddings: NDArray[Any], shortlist: int, name: str) -> None:
        super().__init__(name=name)
        self.size = item_count(embeddings)
        self.shortlist = shortlist
        with self.name_scope:
            filled = np.pad(embeddings.astype(np.float32), [(0, -len(embeddings) % BLOCK), (0, 0)])
            self.table = tf.Variable(filled, trainable=False, name="table")

    @property
    def parameters(self) -> dict[str, int]:
        """What was chosen for this catalogue, by name."""
        return {"shortlist": self.shortlist}

    def filled_scores(self, query: tf.Tensor) -> tf.Tensor:
        """As `Index.filled_scores`."""
        return tf.matmul(query, self.table, transpose_b=True)

    def embeddings(self, items: tf.Tensor) -> tf.Tensor:
        """The embeddings of items: int64 [...] in [0, V] -> float [..., D]."""
        # A gather from the variable itself would make every later read of the whole table copy it (TensorFlow's
        # EnsureSparseVariableAccess): five times the time of a product with it.
        return tf.gather(tf.convert_to_tensor(self.table), items)

    def search(self, query: tf.Tensor, k: tf.Tensor, exclude: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """As `Index.search`."""
        k = tf.minimum(k, self.size)
        found = -(-self.shortlist * tf.maximum(k, TOP) // TOP)
        excluded = tf.shape(exclude)[1]
        length = tf.maximum(found, k) + excluded
        depth = k + excluded // 4  # Most of a user's earlier items lie far from what the query is near to.

        def quick() -> Found:
            return self._in_blocks(lambda q, e: self._best(q, e, k, length, depth), query, exclude)

        def nothing() -> Found:
            shape = [tf.shape(query)[0], k]
            return tf.fill(shape, float("-inf")), tf.fill(shape, tf.constant(-1, tf.int64))

        def everything() -> Found:
            return masked_top_k(self.filled_scores(query), self.size, k, exclude)

        is_quick = (length <= min(LONGEST, self.size)) & (tf.shape(query)[0] <= self.most_queries)
        best, items = tf.cond(is_quick, quick, nothing)
        return tf.cond(tf.reduce_any(items < 0), everything, lambda: (best, items))

    @abstractmethod
    def candidates(self, query: tf.Tensor, length: tf.Tensor, depth: tf.Tensor) -> tf.Tensor:
        """The shortlists of at most `rows` queries.

        Args:
            query: float [R, D].
            length: int32 [], the number of candidates, if there are so many.
            depth: int32 [], of how many best items most should be among the candidates.

        Returns:
            int32 [R, N], distinct items in ascending order; those of V and above fill.
        """

    def _best(self, query: tf.Tensor, exclude: tf.Tensor, k: tf.Tensor, length: tf.Tensor, depth: tf.Tensor) -> Found:
        """The best of the shortlist: the filling, and what the shortlist lacks to `k`, is -1 with minus infinity."""
        items = tf.cast(self.candidates(query, length, depth), tf.int64)
        is_wanted = (items < self.size) & ~_is_among(items, exclude)
        scores = self._scores_of(tf.minimum(items, self.size), query)
        scores = tf.where(is_wanted, scores, float("-inf"))
        lacking = tf.maximum(k - tf.shape(items)[1], 0)
        scores = tf.pad(scores, [[0, 0], [0, lacking]], constant_values=float("-inf"))
        best, position = tf.math.top_k(scores, k)
        items = tf.gather(tf.pad(items, [[0, 0], [0, lacking]]), position, batch_dims=1)
        return best, tf.where(best > best.dtype.min, items, -1)

    def _scores_of(self, items: tf.Tensor, query: tf.Tensor) -> tf.Tensor:
        """The scores of items [R, N]; one query has a much faster product."""
        if self.rows == 1:
            return tf.matmul(query, self.embeddings(items[0]), transpose_b=True)
        return tf.linalg.matvec(self.embeddings(items), query)

    def _in_blocks(self, function: Callable[..., Found], query: tf.Tensor, exclude: tf.Tensor) -> Found:
        """A function of at most `rows` queries applied to any number of them, block after block."""
        total = tf.shape(query)[0]
        rows = tf.clip_by_value(total, 1, self.rows)
        blocks = tf.maximum(1, -(-total // rows))
        inputs = [_blocks(values, blocks, rows) for values in (query, exclude)]
        kinds = tf.TensorSpec([None, None]), tf.TensorSpec([None, None], tf.int64)
        found = tf.map_fn(lambda block: function(*block), inputs, fn_output_signature=kinds)
        best, items = (tf.reshape(values, [blocks * rows, -1])[:total] for values in found)
        return best, items


def _blocks(values: tf.Tensor, blocks: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """[B, N] -> [blocks, rows, N], filled up with zeros."""
    width = tf.shape(values)[1] if values.shape[1] is None else values.shape[1]
    filled = tf.pad(values, [[0, blocks * rows - tf.shape(values)[0]], [0, 0]])
    return tf.reshape(filled, [blocks, rows, width])


def _is_among(items: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Whether items [B, N] stand among others [B, E]: bool [B, N]."""
    others = tf.pad(tf.sort(others, axis=1), [[0, 0], [0, 1]], constant_values=others.dtype.max)
    return tf.equal(tf.gather(others, tf.searchsorted(others, items), batch_dims=1), items)
