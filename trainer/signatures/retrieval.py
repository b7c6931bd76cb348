"""The retrieval score as it is served: the towers' and the neighbourhoods' together."""

import tensorflow as tf

from trainer.index.base import Index
from trainer.index.blocks import masked_top_k, wanted_top_k
from trainer.neighbours.scores import Neighbours
from trainer.towers.state import QueryState

Found = tuple[tf.Tensor, tf.Tensor]
"""Scores float [B, K] and items int64 [B, K], as `Index.search` gives them."""

_WIDER = 2
"""An approximate index is asked for so many times as many items as are wanted: neighbourhoods change their order."""


class Retrieval:
    """Finds and scores items for queries.

    Args:
        index: the candidates' embeddings.
        neighbours: what is added to their scores; None for nothing.
    """

    def __init__(self, index: Index, neighbours: Neighbours | None) -> None:
        self.index = index
        self._neighbours = neighbours

    def scores(self, state: QueryState) -> tf.Tensor:
        """The scores of all items, float [B, V]."""
        scores = self.index.scores(state.embedding)
        return scores if self._neighbours is None else scores + self._neighbours.scores(state.items)

    def scores_of(self, state: QueryState, item: tf.Tensor) -> tf.Tensor:
        """The scores of some items, int64 [B, N] in [0, V] -> float [B, N]."""
        scores = tf.linalg.matvec(self.index.embeddings(item), state.embedding)
        return scores if self._neighbours is None else scores + self._neighbours.scores_of(state.items, item)

    def search(self, state: QueryState, k: tf.Tensor, exclude: tf.Tensor) -> Found:
        """The best items without those of `exclude` int64 [B, E]; as `Index.search`."""
        if self._neighbours is None:
            return self.index.search(state.embedding, k, exclude)
        if self.index.kind == "exact":
            return masked_top_k(self._filled_scores(state), self.index.size, k, exclude)
        return self._merged(state, self._neighbours, tf.minimum(k, self.index.size), exclude)

    def search_among(self, state: QueryState, k: tf.Tensor, is_wanted: tf.Tensor) -> Found:
        """The best of the wanted items, bool [B, V]; exact with every index, else as `Index.search`."""
        count = tf.math.count_nonzero(is_wanted)
        return tf.cond(
            count * self.index.few <= tf.size(is_wanted, tf.int64),
            lambda: self._best_of_few(state, k, is_wanted),
            lambda: wanted_top_k(self._filled_scores(state), k, is_wanted),
        )

    def _best_of_few(self, state: QueryState, k: tf.Tensor, is_wanted: tf.Tensor) -> Found:
        """As `search_among`, by looking up the wanted items alone."""
        place, k = tf.where(is_wanted), tf.minimum(k, self.index.size)
        rows = tf.shape(is_wanted, tf.int64)[0]
        item = tf.RaggedTensor.from_value_rowids(place[:, 1], place[:, 0], rows).to_tensor(-1)
        item = tf.pad(item, [[0, 0], [0, tf.maximum(k - tf.shape(item)[1], 0)]], constant_values=-1)
        scores = tf.where(item >= 0, self.scores_of(state, tf.maximum(item, 0)), float("-inf"))
        best, order = tf.math.top_k(scores, k)
        return best, tf.gather(item, order, batch_dims=1)

    def _filled_scores(self, state: QueryState) -> tf.Tensor:
        """As `Index.filled_scores`."""
        scores = self.index.filled_scores(state.embedding)
        if self._neighbours is None:
            return scores
        added = self._neighbours.scores(state.items)
        return scores + tf.pad(added, [[0, 0], [0, scores.shape[1] - self.index.size]])

    def _merged(self, state: QueryState, neighbours: Neighbours, k: tf.Tensor, exclude: tf.Tensor) -> Found:
        """The best of what the towers and what the neighbourhoods find, by both scores; no pass over all items."""
        size, nearest = self.index.size, neighbours.nearest(state.items)
        _, found = self.index.search(state.embedding, tf.minimum(_WIDER * k, size), exclude)
        near = nearest.top(k, exclude)
        is_new = ~tf.reduce_any(near[:, :, tf.newaxis] == found[:, tf.newaxis], axis=2)
        item = tf.concat([found, tf.where(is_new, near, -1)], axis=1)
        known = tf.where(item >= 0, item, size)
        scores = tf.linalg.matvec(self.index.embeddings(known), state.embedding) + nearest.of(known)
        best, place = tf.math.top_k(tf.where(item >= 0, scores, float("-inf")), k)
        return best, tf.gather(item, place, batch_dims=1)
