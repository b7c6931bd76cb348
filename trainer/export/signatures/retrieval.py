"""The retrieval score as it is served: the towers', as of the request's moment, plus the neighbourhoods'.

The index holds the newest trend, so that the score of every item is one dot product for a request of now. A request of
a moment within the train log's span is scored without the index's trend, and with that of its moment instead, as the
softmax was in training and as `evaluate` does. A batch without such a request pays a comparison.
"""

from typing import NamedTuple

import tensorflow as tf

from config import feature_names
from trainer.data.blocks import CELLS, in_row_blocks
from trainer.data.windows import Window
from trainer.export.index.exact import Index, masked_top_k, wanted_top_k
from trainer.model.popularity import TrendTable
from trainer.model.query_tower import QueryState
from trainer.model.recommender import RecommenderModel
from trainer.stacking.neighbours import Neighbours

Found = tuple[tf.Tensor, tf.Tensor]
"""Scores float [B, K] and items int64 [B, K], as `Index.search` returns them."""

_SCORE = "score"
_WIDER = 2
"""An approximate index is searched for so many times the wanted items: neighbourhoods change their order."""


class Query(NamedTuple):
    """A batch of B encoded requests.

    Attributes:
        state: the query tower's state at the last position (`QueryState.newest`).
        moment: int64 [B] seconds, the time as of which the trend counts; 0 for the newest trend.
    """

    state: QueryState
    moment: tf.Tensor

    @classmethod
    def of(cls, model: RecommenderModel, window: Window) -> "Query":
        """Encodes windows [B, L] whose last event has not happened yet."""
        return cls(model.encode_newest(window), window[feature_names.TIME][:, -1])

    def of_now(self) -> "Query":
        """Returns the same queries as of now."""
        return self._replace(moment=tf.zeros_like(self.moment))


class Retrieval:
    """Finds and scores items for queries.

    Args:
        index: the candidates' embeddings, with the newest trend.
        neighbours: the neighbourhoods, whose scores are added; None for none.
        trend: the counts by time; None where the embeddings hold no trend.
    """

    def __init__(self, index: Index, neighbours: Neighbours | None, trend: TrendTable | None = None) -> None:
        self.index = index
        self._neighbours = neighbours
        self._moments = None if trend is None else _Moments(trend, index.size)

    def scores(self, query: Query) -> tf.Tensor:
        """Scores all items: float [B, V]."""
        return self._padded_scores(query)[:, : self.index.size]

    def trend_moment(self, query: Query) -> tf.Tensor:
        """Returns int64 [B], equal for queries of the same embedding whose scores have the same trend."""
        return tf.zeros_like(query.moment) if self._moments is None else self._moments.bucket(query)

    def scores_of(self, query: Query, item: tf.Tensor) -> tf.Tensor:
        """Scores some items: int64 [B, N] in [0, V] -> float [B, N]."""
        scores = tf.linalg.matvec(self.index.embeddings(item), self._embedding(query))
        if self._moments is not None:
            scores = self._moments.added_to(scores, query, item)
        return scores if self._neighbours is None else scores + self._neighbours.scores_of(query.state.items, item)

    def search(self, query: Query, k: tf.Tensor, exclude: tf.Tensor) -> Found:
        """Finds the best items without those of `exclude` int64 [B, E]; see `Index.search`.

        An approximate index holds the newest trend only: a batch with a request of a past moment is searched exactly.
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
        """Finds the best of the wanted items, bool [B, V], exactly with every index; else as `Index.search`."""
        count = tf.math.count_nonzero(is_wanted)
        return tf.cond(
            count * self.index.lookup_ratio <= tf.size(is_wanted, tf.int64),
            lambda: self._search_lookup(query, k, is_wanted),
            lambda: wanted_top_k(self._padded_scores(query), k, is_wanted),
        )

    def _embedding(self, query: Query) -> tf.Tensor:
        return query.state.embedding if self._moments is None else self._moments.embedding(query)

    def _padded_scores(self, query: Query) -> tf.Tensor:
        """As `Index.padded_scores`."""
        scores = self.index.padded_scores(self._embedding(query))
        if self._moments is not None:
            scores = self._moments.added_to_all(scores, query)
        if self._neighbours is None:
            return scores
        added = self._neighbours.scores(query.state.items)
        return scores + tf.pad(added, [[0, 0], [0, scores.shape[1] - self.index.size]])

    def _search_all(self, query: Query, k: tf.Tensor, exclude: tf.Tensor) -> Found:
        return masked_top_k(self._padded_scores(query), self.index.size, k, exclude)

    def _search_index(self, query: Query, k: tf.Tensor, exclude: tf.Tensor) -> Found:
        """As `search`, by an approximate index with the newest trend."""
        if self._neighbours is None:
            return self.index.search(query.state.embedding, k, exclude)
        return self._search_merged(query, self._neighbours, tf.minimum(k, self.index.size), exclude)

    def _search_merged(self, query: Query, neighbours: Neighbours, k: tf.Tensor, exclude: tf.Tensor) -> Found:
        """The best by both scores of the items that the towers or the neighbourhoods find; no pass over all items."""
        size, nearest = self.index.size, neighbours.nearest(query.state.items)
        _, found = self.index.search(query.state.embedding, tf.minimum(_WIDER * k, size), exclude)
        near = nearest.top(k, exclude)
        is_new = ~tf.reduce_any(near[:, :, tf.newaxis] == found[:, tf.newaxis], axis=2)
        item = tf.concat([found, tf.where(is_new, near, -1)], axis=1)
        known = tf.where(item >= 0, item, size)
        scores = tf.linalg.matvec(self.index.embeddings(known), query.state.embedding) + nearest.of(known)
        best, position = tf.math.top_k(tf.where(item >= 0, scores, float("-inf")), k)
        return _known(best, tf.gather(item, position, batch_dims=1))

    def _search_lookup(self, query: Query, k: tf.Tensor, is_wanted: tf.Tensor) -> Found:
        """As `search_among`, by scoring the wanted items alone.

        For example, the marks [[F, T, T], [T, F, F]] are the items [[1, 2], [0, -1]], at least `k` columns wide.
        """
        position, k = tf.where(is_wanted), tf.minimum(k, self.index.size)
        rows = tf.shape(is_wanted, tf.int64)[0]
        item = tf.RaggedTensor.from_value_rowids(position[:, 1], position[:, 0], rows).to_tensor(-1)
        item = tf.pad(item, [[0, 0], [0, tf.maximum(k - tf.shape(item)[1], 0)]], constant_values=-1)
        scores = tf.where(item >= 0, self.scores_of(query, tf.maximum(item, 0)), float("-inf"))
        best, order = tf.math.top_k(scores, k)
        return _known(best, tf.gather(item, order, batch_dims=1))


def _known(score: tf.Tensor, item: tf.Tensor) -> Found:
    """Replaces items of the score minus infinity, such as withdrawn ones, by -1."""
    return score, tf.where(score > score.dtype.min, item, -1)


class _Moments:
    """The towers' scores as of each request's moment.

    Args:
        trend: the counts by time.
        size: V.
    """

    def __init__(self, trend: TrendTable, size: int) -> None:
        self._trend = trend
        self._size = size
        self._rows = max(1, CELLS // (size * (1 + trend.width)))

    def is_any_past(self, query: Query) -> tf.Tensor:
        """Whether a request has another trend than the newest: bool []."""
        return tf.reduce_any(self._trend.is_past(query.moment))

    def bucket(self, query: Query) -> tf.Tensor:
        """The bucket of time that each request's trend is of: int64 [B], -1 for the newest."""
        return tf.where(self._trend.is_past(query.moment), self._trend.bucket(query.moment), -1)

    def embedding(self, query: Query) -> tf.Tensor:
        """The queries that the index's table is multiplied with: float [B, D + 1 + W].

        The weights of the trend are 0 for past moments.
        """
        embedding = query.state.embedding
        is_trend = tf.range(embedding.shape[1]) >= embedding.shape[1] - self._trend.width
        return tf.where(self._trend.is_past(query.moment)[:, tf.newaxis] & is_trend, 0.0, embedding)

    def added_to_all(self, scores: tf.Tensor, query: Query) -> tf.Tensor:
        """Adds the trend of past moments to the products of `embedding` with all items, float [B, V'] -> [B, V'].

        The columns from V on are padding.
        """

        def added() -> tf.Tensor:
            row = tf.where(self._trend.is_past(query.moment))
            parts = tf.gather(self._weights(query), row[:, 0]), tf.gather(query.moment, row[:, 0])
            trend = in_row_blocks(self._of_all, parts, self._rows, {_SCORE: tf.float32})[_SCORE]
            return tf.tensor_scatter_nd_add(scores, row, tf.pad(trend, [[0, 0], [0, scores.shape[1] - self._size]]))

        return tf.cond(self.is_any_past(query), added, lambda: scores)

    def added_to(self, scores: tf.Tensor, query: Query, item: tf.Tensor) -> tf.Tensor:
        """Adds the trend of past moments to the products with items int64 [B, N] in [0, V]: float [B, N] -> [B, N]."""

        def added() -> tf.Tensor:
            features = self._trend.of_items(self._trend.bucket(query.moment)[:, tf.newaxis], item)
            is_past = self._trend.is_past(query.moment)[:, tf.newaxis]
            return scores + tf.where(is_past, tf.linalg.matvec(features, self._weights(query)), 0.0)

        return tf.cond(self.is_any_past(query), added, lambda: scores)

    def _of_all(self, weights: tf.Tensor, moment: tf.Tensor) -> dict[str, tf.Tensor]:
        return {_SCORE: self._trend.catalogue_scores(weights, moment)}

    def _weights(self, query: Query) -> tf.Tensor:
        return query.state.embedding[:, -self._trend.width :]
