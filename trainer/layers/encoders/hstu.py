"""Pointwise aggregated attention over the history."""

import tensorflow as tf

from config.model import HistoryConfig
from trainer.distributed.randomness import Dropout, Randomness
from trainer.layers.encoders.attention import DistanceBias, TimeBias, merge_heads, split_heads, time_buckets
from trainer.layers.encoders.base import Encoder
from trainer.layers.encoders.packing import Packing


class HSTUEncoder(Encoder):
    """Hierarchical sequential transduction units with relative position and time bias.

    Zhai et al., "Actions Speak Louder than Words: Trillion-Parameter Sequential Transducers for Generative
    Recommendations" (2024). Distances count visible events; an unknown time has a bias of its own.

    Args:
        config: heads, layers, dropout; `max_events` bounds the distance.
        randomness: of the dropout.
    """

    def __init__(self, config: HistoryConfig, randomness: Randomness, name: str = "hstu") -> None:
        super().__init__(name=name)
        self.blocks = [HSTUBlock(config, randomness, name=f"block_{i}") for i in range(config.layers)]

    def call(self, events: tf.Tensor, visible: tf.Tensor, times: tf.Tensor, training: bool = False) -> tf.Tensor:
        """float [B, L, D], bool [B, L], int64 [B, L] -> float [B, L, D]."""
        packing = Packing.of(visible)
        states, buckets = packing.pack(events), time_buckets(packing.pack(times))
        for block in self.blocks:
            states = block(states, buckets, training=training)
        return packing.unpack(states)


class HSTUBlock(tf.keras.layers.Layer):
    """One unit, added to its input.

    The weight of an event at a position is SiLU(query . key + biases) / n, n events being seen there: not a share, so
    that the strength of an interest is kept. The aggregate is normalised and multiplied by a gate.
    """

    def __init__(self, config: HistoryConfig, randomness: Randomness, name: str) -> None:
        super().__init__(name=name)
        self._heads = config.heads
        self.distance_bias = DistanceBias(config.heads, config.max_events)
        self.time_bias = TimeBias(config.heads)
        self.norms = [tf.keras.layers.LayerNormalization(epsilon=1e-6, name=f"norm_{i}") for i in range(2)]
        self.dropout = Dropout(config.dropout, randomness)

    def build(self, input_shape: tf.TensorShape) -> None:
        """Adds the projections: input float [B, L, D]; D should be a multiple of the heads."""
        dimension = input_shape[-1]
        self.project = tf.keras.layers.Dense(4 * dimension, activation="swish", name="project")
        self.output_projection = tf.keras.layers.Dense(dimension, name="output")
        super().build(input_shape)

    def call(self, events: tf.Tensor, buckets: tf.Tensor, training: bool = False) -> tf.Tensor:
        """float [B, L, D], all visible up to the last one, and int32 [B, L, L], `time_buckets` -> float [B, L, D]."""
        dimension = events.shape[-1]
        projected = self.project(self.norms[0](events))
        query, key, value = split_heads(projected[..., dimension:], 3, self._heads)
        weights = self._weights(tf.matmul(query, key, transpose_b=True), buckets)
        gated = self.norms[1](merge_heads(tf.matmul(weights, value))) * projected[..., :dimension]
        return events + self.output_projection(self.dropout(gated, training=training))

    def _weights(self, logits: tf.Tensor, buckets: tf.Tensor) -> tf.Tensor:
        length = tf.shape(logits)[-1]
        weights = tf.nn.silu(logits + self.distance_bias(length) + self.time_bias(buckets))
        position = tf.range(length)
        sees = tf.cast(position <= position[:, tf.newaxis], weights.dtype)
        return weights * (sees / tf.reduce_sum(sees, axis=-1, keepdims=True))
