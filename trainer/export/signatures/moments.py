"""The trend as of the moment of each request.

The index holds the newest trend, so that the score of every item is one dot product for a request of now. A request of
a moment within the train log's span is scored without the index's trend, and with that of its moment instead, as the
softmax was in training and as `evaluate` does. A batch without such a request pays a comparison.
"""

from typing import NamedTuple

import tensorflow as tf

from config import feature_names
from trainer.data.windows import Window
from trainer.export.signatures.blocks import CELLS, in_row_blocks
from trainer.model.popularity import TrendTable
from trainer.model.query_tower import QueryState
from trainer.model.recommender import RecommenderModel

_SCORE = "score"


class Query(NamedTuple):
    """What a batch of B requests is answered from.

    Attributes:
        state: at the last position (`QueryState.newest`).
        moment: int64 [B] seconds, as of which the trend counts; 0: the newest trend.
    """

    state: QueryState
    moment: tf.Tensor

    @classmethod
    def of(cls, model: RecommenderModel, window: Window) -> "Query":
        """Of windows [B, L] whose last event has not happened yet."""
        return cls(model.encode_newest(window), window[feature_names.TIME][:, -1])

    def of_now(self) -> "Query":
        """The same, asked now."""
        return self._replace(moment=tf.zeros_like(self.moment))


class Moments:
    """The scores of the towers as of each request's moment.

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

    def embedding(self, query: Query) -> tf.Tensor:
        """What the index's table is multiplied with: the queries float [B, D + 1 + W], of a moment that is past without
        the weights of the trend."""
        embedding = query.state.embedding
        is_trend = tf.range(embedding.shape[1]) >= embedding.shape[1] - self._trend.width
        return tf.where(self._trend.is_past(query.moment)[:, tf.newaxis] & is_trend, 0.0, embedding)

    def added_to_all(self, scores: tf.Tensor, query: Query) -> tf.Tensor:
        """The products of `embedding` with all items and the trend of the past moments: float [B, V'] -> [B, V']; what
        stands behind the V-th item is filling."""

        def added() -> tf.Tensor:
            row = tf.where(self._trend.is_past(query.moment))
            parts = tf.gather(self._weights(query), row[:, 0]), tf.gather(query.moment, row[:, 0])
            trend = in_row_blocks(self._of_all, parts, self._rows, {_SCORE: tf.float32})[_SCORE]
            return tf.tensor_scatter_nd_add(scores, row, tf.pad(trend, [[0, 0], [0, scores.shape[1] - self._size]]))

        return tf.cond(self.is_any_past(query), added, lambda: scores)

    def added_to(self, scores: tf.Tensor, query: Query, item: tf.Tensor) -> tf.Tensor:
        """The products of `embedding` with items int64 [B, N] in [0, V], and their trend: float [B, N] -> [B, N]."""

        def added() -> tf.Tensor:
            features = self._trend.of_items(self._trend.bucket(query.moment)[:, tf.newaxis], item)
            is_past = self._trend.is_past(query.moment)[:, tf.newaxis]
            return scores + tf.where(is_past, tf.linalg.matvec(features, self._weights(query)), 0.0)

        return tf.cond(self.is_any_past(query), added, lambda: scores)

    def _of_all(self, weights: tf.Tensor, moment: tf.Tensor) -> dict[str, tf.Tensor]:
        return {_SCORE: self._trend.catalogue_scores(weights, moment)}

    def _weights(self, query: Query) -> tf.Tensor:
        return query.state.embedding[:, -self._trend.width :]
