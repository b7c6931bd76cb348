"""Causal self-attention over the history."""

import math

import tensorflow as tf

from config.model import HistoryConfig
from trainer.distributed.randomness import Dropout, Randomness
from trainer.layers.encoders.base import GAP_BUCKETS, HIDDEN, Encoder, causal_mask, gap_buckets


def split_heads(values: tf.Tensor, parts: int, heads: int) -> list[tf.Tensor]:
    """float [B, L, parts D] -> `parts` times float [B, H, L, D / H].

    Raises:
        ValueError: D is no multiple of the heads.
    """
    batch, length, dimension = tf.shape(values)[0], tf.shape(values)[1], values.shape[-1] // parts
    if dimension % heads:
        raise ValueError(f"`model.dimension` should be a multiple of `heads`. Received: {dimension} and {heads}")
    split = tf.reshape(values, [batch, length, parts, heads, dimension // heads])
    return tf.unstack(tf.transpose(split, [2, 0, 3, 1, 4]))


def merge_heads(values: tf.Tensor) -> tf.Tensor:
    """float [B, H, L, W] -> float [B, L, H W]."""
    batch, length = tf.shape(values)[0], tf.shape(values)[2]
    return tf.reshape(tf.transpose(values, [0, 2, 1, 3]), [batch, length, values.shape[1] * values.shape[3]])


class DistanceBias(tf.keras.layers.Layer):
    """A learned number for each distance between two positions and each head, from zero (Raffel et al., 2020).

    Args:
        heads: H.
        distances: bounds the distance; all longer ones share the last number.
    """

    def __init__(self, heads: int, distances: int, name: str = "distance_bias") -> None:
        super().__init__(name=name)
        self._distances = distances
        self.table = self.add_weight(name="table", shape=[heads, distances], initializer="zeros")

    def call(self, length: tf.Tensor) -> tf.Tensor:
        """int scalar L -> float [H, L, L]: of events (last axis) at positions; 0 stands for all that lie ahead."""
        position = tf.range(length)
        distance = tf.clip_by_value(position[:, tf.newaxis] - position, 0, self._distances - 1)
        return tf.gather(self.table, distance, axis=1)


class TimeBias(tf.keras.layers.Layer):
    """A learned number for each power of two of the seconds between two events and each head, from zero.

    Args:
        heads: H.
    """

    def __init__(self, heads: int, name: str = "time_bias") -> None:
        super().__init__(name=name)
        self.table = self.add_weight(name="table", shape=[heads, GAP_BUCKETS], initializer="zeros")

    def call(self, buckets: tf.Tensor) -> tf.Tensor:
        """int32 [B, L, L], `time_buckets` -> float [B, H, L, L]."""
        # Along the second axis, where the gradient is a dense table and not one row for each pair of events.
        return tf.transpose(tf.gather(self.table, buckets, axis=1), [1, 0, 2, 3])


def time_buckets(times: tf.Tensor) -> tf.Tensor:
    """int64 [B, L], 0 where unknown -> int32 [B, L, L]: `gap_buckets` of the events (last axis) at positions."""
    return gap_buckets(times[:, :, tf.newaxis], times[:, tf.newaxis], GAP_BUCKETS)


class AttentionEncoder(Encoder):
    """Causal self-attention: pre-norm blocks with a learned bias for each distance and head.

    The blocks are those of Kang and McAuley, "Self-Attentive Sequential Recommendation" (2018), with the norm before
    each half (Xiong et al., 2020) and relative positions (Raffel et al., 2020) without buckets. With `time_bias` the
    time between two events adds a learned bias too, as in Li et al., "Time Interval Aware Self-Attention for
    Sequential Recommendation" (2020), in powers of two. Distances count every position, the invisible ones
    included: `HistoryEncoder` leaves no room for those that are no positives.

    Args:
        config: heads, layers, dropout; `max_events` bounds the distance.
        randomness: of the dropout.
    """

    def __init__(self, config: HistoryConfig, randomness: Randomness, name: str = "attention") -> None:
        super().__init__(name=name)
        self._time_bias = config.time_bias
        self.blocks = [AttentionBlock(config, randomness, name=f"block_{i}") for i in range(config.layers)]

    def call(self, events: tf.Tensor, visible: tf.Tensor, times: tf.Tensor, training: bool = False) -> tf.Tensor:
        """float [B, L, D], bool [B, L], int64 [B, L] -> float [B, L, D]; only visible positions have a meaning."""
        blocked, buckets = self._seen(visible, times)
        for block in self.blocks:
            events = block(events, blocked, buckets, training=training)
        return events

    def newest(self, events: tf.Tensor, visible: tf.Tensor, times: tf.Tensor) -> tf.Tensor:
        """As `Encoder.newest`: of the last block's positions only the newest attends."""
        blocked, buckets = self._seen(visible, times)
        for block in self.blocks[:-1]:
            events = block(events, blocked, buckets)
        return self.blocks[-1](events, blocked, buckets, newest=True)[:, 0]

    def _seen(self, visible: tf.Tensor, times: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
        """What blocks add to the logits, float [B, 1, L, L], and the buckets of their time bias."""
        blocked = tf.where(causal_mask(visible), 0.0, HIDDEN)[:, tf.newaxis]
        return blocked, time_buckets(times) if self._time_bias else None


class AttentionBlock(tf.keras.layers.Layer):
    """One attention layer and one feed-forward layer, each added to its input."""

    def __init__(self, config: HistoryConfig, randomness: Randomness, name: str) -> None:
        super().__init__(name=name)
        self._heads = config.heads
        self._max_events = config.max_events
        self._has_time_bias = config.time_bias
        self.norms = [tf.keras.layers.LayerNormalization(epsilon=1e-6, name=f"norm_{i}") for i in range(2)]
        self.dropouts = [Dropout(config.dropout, randomness, name=f"dropout_{i}") for i in range(2)]

    def build(self, input_shape: tf.TensorShape) -> None:
        """Adds the projections: input float [B, L, D]; D should be a multiple of the heads."""
        dimension = input_shape[-1]
        self.project = tf.keras.layers.Dense(3 * dimension, name="project")
        self.output_projection = tf.keras.layers.Dense(dimension, name="output")
        self.expand = tf.keras.layers.Dense(2 * dimension, activation="gelu", name="expand")
        self.contract = tf.keras.layers.Dense(dimension, name="contract")
        self.distance_bias = DistanceBias(self._heads, self._max_events)
        self.time_bias = TimeBias(self._heads) if self._has_time_bias else None
        super().build(input_shape)

    def call(
        self,
        events: tf.Tensor,
        blocked: tf.Tensor,
        buckets: tf.Tensor | None,
        training: bool = False,
        newest: bool = False,
    ) -> tf.Tensor:
        """One block.

        Args:
            events: float [B, L, D].
            blocked: float [B, 1, L, L], added to the attention's logits.
            buckets: int32 [B, L, L], of the times between the events; None without a time bias.
            newest: only the last position attends.

        Returns:
            float [B, L, D], of the newest [B, 1, D].
        """
        attended = self._attend(self.norms[0](events), blocked, buckets, newest)
        events = events[:, -1:] if newest else events
        events += self.dropouts[0](attended, training=training)
        return events + self.dropouts[1](self.contract(self.expand(self.norms[1](events))), training=training)

    def _attend(self, events: tf.Tensor, blocked: tf.Tensor, buckets: tf.Tensor | None, newest: bool) -> tf.Tensor:
        query, key, value = split_heads(self.project(events), 3, self._heads)
        biases = self.distance_bias(tf.shape(events)[1]) + blocked
        if self.time_bias is not None:
            biases += self.time_bias(buckets)
        if newest:
            query, biases = query[:, :, -1:], biases[:, :, -1:]
        logits = tf.matmul(query, key, transpose_b=True) / math.sqrt(query.shape[-1]) + biases
        return self.output_projection(merge_heads(tf.matmul(tf.nn.softmax(logits), value)))
