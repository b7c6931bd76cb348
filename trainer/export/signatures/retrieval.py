"""The retrieval score as it is served: the towers', as of the request's moment, and the neighbourhoods' together."""

import tensorflow as tf

from trainer.export.index.exact import Index, masked_top_k, wanted_top_k
from trainer.export.signatures.moments import Moments, Query
from trainer.model.popularity import TrendTable
from trainer.stacking.neighbours import Neighbours

Found = tuple[tf.Tensor, tf.Tensor]
"""Scores float [B, K] and items int64 [B, K], as `Index.search` gives them."""

_WIDER = 2
"""An approximate index is asked for so many times as many items as are wanted: neighbourhoods change their order."""


class Retrieval:
    """Finds and scores items for queries.

    Args:
        index: the candidates' embeddings, with the newest trend.
        neighbours: what is added to their scores; None for nothing.
        trend: the counts by time; None where the embeddings hold none.
    """

    def __init__(self, index: Index, neighbours: Neighbours | None, trend: TrendTable | None = None) -> None:
        self.index = index
        self._neighbours = neighbours
        self._moments = None if trend is None else Moments(trend, index.size)

    def scores(self, query: Query) -> tf.Tensor:
        """The scores of all items, float [B, V]."""
        return self._filled_scores(query)[:, : self.index.size]

    def scores_of(self, query: Query, item: tf.Tensor) -> tf.Tensor:
        """The scores of some items, int64 [B, N] in [0, V] -> float [B, N]."""
        scores = tf.linalg.matvec(self.index.embeddings(item), self._embedding(query))
        if self._moments is not None:
            scores = self._moments.added_to(scores, query, item)
        return scores if self._neighbours is None else scores + self._neighbours.scores_of(query.state.items, item)

    def search(self, query: Query, k: tf.Tensor, exclude: tf.Tensor) -> Found:
        """The best items without those of `exclude` int64 [B, E]; as `Index.search`.

        An approximate index would look for them with the newest trend: a batch in which a request is of a moment that
        is past is searched exactly.
        """
        if self.index.kind == "exact":
            return self._search_all(query, k, exclude)
        if self._moments is None:
            return self._search_index(query, k, exclude)
        return tf.cond(
            self._moments.is_any_past(query),
            lambda: self._search_all(query, k, exclude),
            lambda: self._search_index(query, k, exclude),
        )

    def search_among(self, query: Query, k: tf.Tensor, is_wanted: tf.Tensor) -> Found:
        """The best of the wanted items, bool [B, V]; exact with every index, else as `Index.search`."""
        count = tf.math.count_nonzero(is_wanted)
        return tf.cond(
            count * self.index.few <= tf.size(is_wanted, tf.int64),
            lambda: self._best_of_few(query, k, is_wanted),
            lambda: wanted_top_k(self._filled_scores(query), k, is_wanted),
        )

    def _embedding(self, query: Query) -> tf.Tensor:
        return query.state.embedding if self._moments is None else self._moments.embedding(query)

    def _search_all(self, query: Query, k: tf.Tensor, exclude: tf.Tensor) -> Found:
        return masked_top_k(self._filled_scores(query), self.index.size, k, exclude)

    def _search_index(self, query: Query, k: tf.Tensor, exclude: tf.Tensor) -> Found:
        """As `search`, by an approximate index and with the newest trend."""
        if self._neighbours is None:
            return self.index.search(query.state.embedding, k, exclude)
        return self._merged(query, self._neighbours, tf.minimum(k, self.index.size), exclude)

    def _best_of_few(self, query: Query, k: tf.Tensor, is_wanted: tf.Tensor) -> Found:
        """As `search_among`, by looking up the wanted items alone."""
        position, k = tf.where(is_wanted), tf.minimum(k, self.index.size)
        rows = tf.shape(is_wanted, tf.int64)[0]
        item = tf.RaggedTensor.from_value_rowids(position[:, 1], position[:, 0], rows).to_tensor(-1)
        item = tf.pad(item, [[0, 0], [0, tf.maximum(k - tf.shape(item)[1], 0)]], constant_values=-1)
        scores = tf.where(item >= 0, self.scores_of(query, tf.maximum(item, 0)), float("-inf"))
        best, order = tf.math.top_k(scores, k)
        return best, tf.gather(item, order, batch_dims=1)

    def _filled_scores(self, query: Query) -> tf.Tensor:
        """As `Index.filled_scores`."""
        scores = self.index.filled_scores(self._embedding(query))
        if self._moments is not None:
            scores = self._moments.added_to_all(scores, query)
        if self._neighbours is None:
            return scores
        added = self._neighbours.scores(query.state.items)
        return scores + tf.pad(added, [[0, 0], [0, scores.shape[1] - self.index.size]])

    def _merged(self, query: Query, neighbours: Neighbours, k: tf.Tensor, exclude: tf.Tensor) -> Found:
        """The best of what the towers and what the neighbourhoods find, by both scores; no pass over all items."""
        size, nearest = self.index.size, neighbours.nearest(query.state.items)
        _, found = self.index.search(query.state.embedding, tf.minimum(_WIDER * k, size), exclude)
        near = nearest.top(k, exclude)
        is_new = ~tf.reduce_any(near[:, :, tf.newaxis] == found[:, tf.newaxis], axis=2)
        item = tf.concat([found, tf.where(is_new, near, -1)], axis=1)
        known = tf.where(item >= 0, item, size)
        scores = tf.linalg.matvec(self.index.embeddings(known), query.state.embedding) + nearest.of(known)
        best, position = tf.math.top_k(tf.where(item >= 0, scores, float("-inf")), k)
        return best, tf.gather(item, position, batch_dims=1)
