"""What of a history matters for a candidate."""

from typing import NamedTuple

import tensorflow as tf

_UNITS = 8
"""Hidden units of the activation unit."""
_LEAK = 0.2


class History(NamedTuple):
    """The events that queries may attend.

    Attributes:
        events: float [B, L, D].
        sees: bool [B, Q, L]: whether each of Q queries sees each event. Q is the number of candidates, each with a
            query of its own, or 1 where one query meets all candidates.
    """

    events: tf.Tensor
    sees: tf.Tensor

    @classmethod
    def of(cls, events: tf.Tensor, visible: tf.Tensor) -> "History":
        """A query at each of L positions sees the visible events strictly before it: float [B, L, D], bool [B, L]."""
        index = tf.range(tf.shape(visible)[1])
        return cls(events, (index < index[:, tf.newaxis]) & visible[:, tf.newaxis])

    def newest(self) -> "History":
        """For the query at the last position alone."""
        return History(self.events, self.sees[:, -1:])


class TargetAttention(tf.keras.layers.Layer):
    """The sum of the past events, each weighted by an activation unit of the event and the candidate.

    Zhou et al., "Deep Interest Network for Click-Through Rate Prediction" (2018). The unit is a dense layer of 8 units
    (leaky ReLU) over event, candidate and their product, and a linear one. Its weights are no shares: the strength of
    an interest is kept. The sum is divided by the root of the number of events, as in SVD++ (Koren, 2008), so that
    its size does not grow with the history. Nothing of [B, N, L, D] is ever made: a unit's view of the product is
    that of the event and a scaled candidate.

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
        """What the history says about candidates.

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
        """float [B, N, D], float [B, L, D] -> float [B, N, L]."""
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
    """What the history that a position sees says about the items of events from there on.

    The layer runs over the stretch of `span` events from each position at once, from the first position asked for.

    Args:
        attention: the layer.
        vectors: float [B, L, D], of the window's items.
        history: of queries at each of the L positions.
        index: int64 [T, 2], row and position of the queries.
        position: int64 [T, N], of the items in the row: less than `span` after the query's.
        span: S.

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
