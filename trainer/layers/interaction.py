"""How a query and its history interact with a candidate, for the ranking tasks."""

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf
import tensorflow_recommenders as tfrs

from config.model import ModelConfig

_UNITS = 8
"""Hidden units of the activation unit."""
_LEAK = 0.2


class Interaction(tf.keras.layers.Layer):
    """Encodes a pair of query and candidate: both projected, their product, and crosses of all these.

    With target attention its output is part of the pair too. The crosses are those of Wang et al., "DCN V2: Improved
    Deep & Cross Network" (2021), TFRS's own layer.

    Args:
        config: `dimension` D, `cross_layers` and `cross_rank`.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(name="interaction")
        self.query = tf.keras.layers.Dense(config.dimension, name="query")
        self.candidate = tf.keras.layers.Dense(config.dimension, name="candidate")
        self.crosses = [
            tfrs.layers.dcn.Cross(projection_dim=config.cross_rank, name=f"cross_{i}")
            for i in range(config.cross_layers)
        ]

    def call(
        self, hidden: Mapping[str, tf.Tensor], vectors: tf.Tensor, attended: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Pairs every query with every candidate.

        Args:
            hidden: Query states float [B, S] by name.
            vectors: float [B, N, D], of the items.
            attended: float [B, N, D], of `TargetAttention`; None without it.

        Returns:
            float [B, N, 3 D] by name; [B, N, 4 D] with target attention.
        """
        candidate, more = self.candidate(vectors), [] if attended is None else [attended]
        pairs = {}
        for name, state in hidden.items():
            query = self.query(state)[:, tf.newaxis] + tf.zeros_like(candidate)
            pair = crossed = tf.concat([query, candidate, query * candidate, *more], axis=-1)
            for cross in self.crosses:
                crossed = cross(pair, crossed)
            pairs[name] = crossed
        return pairs


class History(NamedTuple):
    """The events that queries may attend to.

    Attributes:
        events: float [B, L, D].
        sees: bool [B, Q, L]: whether each of Q queries sees each event. Q is the number of candidates, each with a
            query of its own, or 1 where one query is paired with all candidates.
    """

    events: tf.Tensor
    sees: tf.Tensor

    @classmethod
    def of(cls, events: tf.Tensor, visible: tf.Tensor) -> "History":
        """Makes the history of queries at L positions, which see the visible events strictly before them.

        Args:
            events: float [B, L, D].
            visible: bool [B, L].
        """
        index = tf.range(tf.shape(visible)[1])
        return cls(events, (index < index[:, tf.newaxis]) & visible[:, tf.newaxis])

    def newest(self) -> "History":
        """Returns that of the query at the last position."""
        return History(self.events, self.sees[:, -1:])


class TargetAttention(tf.keras.layers.Layer):
    """Sums the past events, each weighted by an activation unit of the event and the candidate.

    Zhou et al., "Deep Interest Network for Click-Through Rate Prediction" (2018). With events e_j and a candidate c,
    both normalised, the output is

        sum_j w_j V e_j / sqrt(n),  w_j = s . leaky_relu(W_e e_j + W_c c + W_p (e_j * c) + b) + o

    over the n events that are seen. The weights do not sum to 1: the strength of an interest is kept; the root of n, as
    in SVD++ (Koren, 2008), keeps the size of the sum from growing with the history. As W_p (e * c) = (W_p * c) e, no
    tensor of shape [B, N, L, D] is made.

    Args:
        dimension: D.
    """

    def __init__(self, dimension: int) -> None:
        super().__init__(name="target_attention")
        self.norms = [tf.keras.layers.LayerNormalization(epsilon=1e-6, name=f"norm_{i}") for i in range(2)]
        self.event = tf.keras.layers.Dense(_UNITS, name="event")
        self.candidate = tf.keras.layers.Dense(_UNITS, use_bias=False, name="candidate")
        self.value = tf.keras.layers.Dense(dimension, use_bias=False, name="value")
        self.product = self.add_weight(name="product", shape=[_UNITS, dimension], initializer="glorot_uniform")
        self.score = self.add_weight(name="score", shape=[_UNITS], initializer=tf.keras.initializers.RandomNormal(0.1))
        self.offset = self.add_weight(name="offset", shape=[], initializer="zeros")

    def call(self, candidates: tf.Tensor, history: History) -> tf.Tensor:
        """Attends to the history for each candidate.

        Args:
            candidates: float [B, N, D], items' vectors.
            history: float [B, L, D], bool [B, N or 1, L].

        Returns:
            float [B, N, D]; zero where no event is seen.
        """
        events, candidates = self.norms[0](history.events), self.norms[1](candidates)
        sees = tf.cast(history.sees, events.dtype)
        weights = self._weights(candidates, events) * sees
        total = tf.matmul(weights, self.value(events))
        return tf.math.divide_no_nan(total, tf.sqrt(tf.reduce_sum(sees, axis=-1, keepdims=True)))

    def _weights(self, candidates: tf.Tensor, events: tf.Tensor) -> tf.Tensor:
        """Computes w for candidates float [B, N, D] and events float [B, L, D]: float [B, N, L]."""
        batch, count, length = tf.shape(candidates)[0], tf.shape(candidates)[1], tf.shape(events)[1]
        scaled = tf.reshape(candidates[:, :, tf.newaxis] * self.product, [batch, count * _UNITS, events.shape[-1]])
        hidden = tf.reshape(tf.matmul(scaled, events, transpose_b=True), [batch, count, _UNITS, length])
        hidden += self.candidate(candidates)[..., tf.newaxis]
        hidden += tf.transpose(self.event(events), [0, 2, 1])[:, tf.newaxis]
        active = tf.nn.leaky_relu(hidden, _LEAK)
        return tf.reduce_sum(active * self.score[:, tf.newaxis], axis=2) + self.offset


def attended_ahead(
    attention: TargetAttention, vectors: tf.Tensor, history: History, index: tf.Tensor, position: tf.Tensor, span: int
) -> tf.Tensor:
    """Applies target attention to the items of events that follow each query's position.

    The layer runs once over the `span` events from each position on, from the first query's position.

    Example:
        With span 2 and the first query at position 3, the candidates are the items at positions 3, 4; 4, 5; 5, 6; ...
        For the query at position 5, the item at position 6 is the one numbered (5 - 3) * 2 + (6 - 5) = 5.

    Args:
        attention: The layer.
        vectors: float [B, L, D], of the window's items.
        history: Of queries at each of the L positions.
        index: int64 [T, 2], row and position of the queries.
        position: int64 [T, N], of the items in the row: less than `span` after the query's.
        span: The number of events.

    Returns:
        float [T, N, D].
    """
    length = tf.shape(vectors, tf.int64)[1]
    first = tf.reduce_min(tf.concat([index[:, 1], [length - 1]], axis=0))
    ahead = tf.range(first, length)[:, tf.newaxis] + tf.range(span, dtype=tf.int64)
    candidates = tf.gather(vectors, tf.reshape(tf.minimum(ahead, length - 1), [-1]), axis=1)
    found = attention(candidates, History(history.events, tf.repeat(history.sees[:, first:], span, axis=1)))
    query = index[:, 1:]
    cell = (query - first) * span + position - query
    return tf.gather_nd(found, tf.stack([index[:, :1] + tf.zeros_like(cell), cell], axis=-1))
