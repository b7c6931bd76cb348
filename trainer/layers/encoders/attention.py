"""Causal self-attention over the history, by softmax (SASRec) or pointwise (HSTU)."""

import math

import tensorflow as tf

from config.model import HistoryConfig
from trainer.distributed.randomness import Dropout, Randomness
from trainer.layers.encoders.base import GAP_BUCKETS, HIDDEN, Encoder, causal_mask, gap_buckets
from trainer.layers.encoders.packing import Packing


def split_heads(values: tf.Tensor, parts: int, heads: int) -> list[tf.Tensor]:
    """Splits float [B, L, parts D] into `parts` tensors float [B, H, L, D / H].

    Raises:
        ValueError: If D is no multiple of the heads.
    """
    batch, length, dimension = tf.shape(values)[0], tf.shape(values)[1], values.shape[-1] // parts
    if dimension % heads:
        raise ValueError(f"`model.dimension` should be a multiple of `heads`. Received: {dimension} and {heads}")
    split = tf.reshape(values, [batch, length, parts, heads, dimension // heads])
    return tf.unstack(tf.transpose(split, [2, 0, 3, 1, 4]))


def merge_heads(values: tf.Tensor) -> tf.Tensor:
    """Merges float [B, H, L, W] to float [B, L, H W]."""
    batch, length = tf.shape(values)[0], tf.shape(values)[2]
    return tf.reshape(tf.transpose(values, [0, 2, 1, 3]), [batch, length, values.shape[1] * values.shape[3]])


class DistanceBias(tf.keras.layers.Layer):
    """A learned bias for each distance between two positions and each head, from zero (Raffel et al., 2020).

    Args:
        heads: H.
        distances: The number of distances; all longer ones share the last bias.
    """

    def __init__(self, heads: int, distances: int, name: str = "distance_bias") -> None:
        super().__init__(name=name)
        self._distances = distances
        self.table = self.add_weight(name="table", shape=[heads, distances], initializer="zeros")

    def call(self, length: tf.Tensor) -> tf.Tensor:
        """Returns the biases of events (last axis) at L positions, float [H, L, L]; later events have distance 0."""
        position = tf.range(length)
        distance = tf.clip_by_value(position[:, tf.newaxis] - position, 0, self._distances - 1)
        return tf.gather(self.table, distance, axis=1)


class TimeBias(tf.keras.layers.Layer):
    """A learned bias for each power of two of the seconds between two events and each head, from zero.

    Args:
        heads: H.
    """

    def __init__(self, heads: int, name: str = "time_bias") -> None:
        super().__init__(name=name)
        self.table = self.add_weight(name="table", shape=[heads, GAP_BUCKETS], initializer="zeros")

    def call(self, buckets: tf.Tensor) -> tf.Tensor:
        """Returns the biases of `time_buckets` int32 [B, L, L]: float [B, H, L, L]."""
        # Along the second axis, where the gradient is a dense table and not one row for each pair of events.
        return tf.transpose(tf.gather(self.table, buckets, axis=1), [1, 0, 2, 3])


def time_buckets(times: tf.Tensor) -> tf.Tensor:
    """Returns `gap_buckets` of the events (last axis) at positions, int64 [B, L] to int32 [B, L, L]."""
    return gap_buckets(times[:, :, tf.newaxis], times[:, tf.newaxis], GAP_BUCKETS)


class AttentionEncoder(Encoder):
    """Causal self-attention: pre-norm blocks with a learned bias for each distance and head.

    The blocks are those of Kang and McAuley, "Self-Attentive Sequential Recommendation" (2018), with the norm before
    each half (Xiong et al., 2020) and relative positions (Raffel et al., 2020) without buckets. With `time_bias` the
    time between two events adds a learned bias too, as in Li et al., "Time Interval Aware Self-Attention for
    Sequential Recommendation" (2020), in powers of two. Distances count every position, the invisible ones
    included: `HistoryEncoder` packs the events that are no positives away.

    Args:
        config: heads, layers, dropout; `max_events` bounds the distance.
        randomness: Of the dropout.
    """

    def __init__(self, config: HistoryConfig, randomness: Randomness, name: str = "attention") -> None:
        super().__init__(name=name)
        self._time_bias = config.time_bias
        self.blocks = [AttentionBlock(config, randomness, name=f"block_{i}") for i in range(config.layers)]

    def call(
        self, events: tf.Tensor, visible: tf.Tensor, times: tf.Tensor, training: bool = False, newest: bool = False
    ) -> tf.Tensor:
        """See `Encoder`; with `newest` only the last position attends in the last block."""
        blocked = tf.where(causal_mask(visible), 0.0, HIDDEN)[:, tf.newaxis]
        buckets = time_buckets(times) if self._time_bias else None
        for block in self.blocks:
            events = block(events, blocked, buckets, training=training, newest=newest and block is self.blocks[-1])
        return events


class AttentionBlock(tf.keras.layers.Layer):
    """One attention layer and one feed-forward layer, each added to its input.

    With q, k, v linear in the normalised events and H heads of width W, a head's output at position i is
    sum_j softmax_j(q_i . k_j / sqrt(W) + bias(i - j) + blocked_ij) v_j.
    """

    def __init__(self, config: HistoryConfig, randomness: Randomness, name: str) -> None:
        super().__init__(name=name)
        self._config = config
        self.norms = [tf.keras.layers.LayerNormalization(epsilon=1e-6, name=f"norm_{i}") for i in range(2)]
        self.dropouts = [Dropout(config.dropout, randomness, name=f"dropout_{i}") for i in range(2)]

    def build(self, input_shape: tf.TensorShape) -> None:
        """Adds the projections: input float [B, L, D]; D should be a multiple of the heads."""
        dimension = input_shape[-1]
        self.project = tf.keras.layers.Dense(3 * dimension, name="project")
        self.output_projection = tf.keras.layers.Dense(dimension, name="output")
        self.expand = tf.keras.layers.Dense(2 * dimension, activation="gelu", name="expand")
        self.contract = tf.keras.layers.Dense(dimension, name="contract")
        self.distance_bias = DistanceBias(self._config.heads, self._config.max_events)
        self.time_bias = TimeBias(self._config.heads) if self._config.time_bias else None
        super().build(input_shape)

    def call(
        self,
        events: tf.Tensor,
        blocked: tf.Tensor,
        buckets: tf.Tensor | None,
        training: bool = False,
        newest: bool = False,
    ) -> tf.Tensor:
        """Applies the block.

        Args:
            events: float [B, L, D].
            blocked: float [B, 1, L, L], added to the attention's logits.
            buckets: int32 [B, L, L], of the times between the events; None without a time bias.
            training: Whether to apply dropout.
            newest: Whether only the last position attends.

        Returns:
            float [B, L, D]; with `newest` [B, 1, D].
        """
        query, key, value = split_heads(self.project(self.norms[0](events)), 3, self._config.heads)
        biases = self.distance_bias(tf.shape(events)[1]) + blocked
        if self.time_bias is not None:
            biases += self.time_bias(buckets)
        if newest:
            events, query, biases = events[:, -1:], query[:, :, -1:], biases[:, :, -1:]
        logits = tf.matmul(query, key, transpose_b=True) / math.sqrt(query.shape[-1]) + biases
        attended = self.output_projection(merge_heads(tf.matmul(tf.nn.softmax(logits), value)))
        events += self.dropouts[0](attended, training=training)
        return events + self.dropouts[1](self.contract(self.expand(self.norms[1](events))), training=training)


class HSTUEncoder(Encoder):
    """Hierarchical sequential transduction units with relative position and time bias.

    Zhai et al., "Actions Speak Louder than Words: Trillion-Parameter Sequential Transducers for Generative
    Recommendations" (2024). Distances count visible events; an unknown time has a bias of its own.

    Args:
        config: heads, layers, dropout; `max_events` bounds the distance.
        randomness: Of the dropout.
    """

    def __init__(self, config: HistoryConfig, randomness: Randomness, name: str = "hstu") -> None:
        super().__init__(name=name)
        self.blocks = [HSTUBlock(config, randomness, name=f"block_{i}") for i in range(config.layers)]

    def call(
        self, events: tf.Tensor, visible: tf.Tensor, times: tf.Tensor, training: bool = False, newest: bool = False
    ) -> tf.Tensor:
        """See `Encoder`."""
        packing = Packing.of(visible)
        states, buckets = packing.pack(events), time_buckets(packing.pack(times))
        for block in self.blocks:
            states = block(states, buckets, training=training)
        return packing.unpack(states)


class HSTUBlock(tf.keras.layers.Layer):
    """One unit, added to its input.

    With q, k, v, u = SiLU(linear in the normalised events), the attended value at position i, which sees n_i events, is
    sum_{j <= i} SiLU(q_i . k_j + biases_ij) v_j / n_i: the weights do not sum to 1, so that the strength of an interest
    is kept. The output is a linear map of norm(attended) * u.
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
        """Applies the unit.

        Args:
            events: float [B, L, D], all visible up to each row's last one.
            buckets: int32 [B, L, L], `time_buckets`.
            training: Whether to apply dropout.

        Returns:
            float [B, L, D].
        """
        length, dimension = tf.shape(events)[1], events.shape[-1]
        projected = self.project(self.norms[0](events))
        query, key, value = split_heads(projected[..., dimension:], 3, self._heads)
        logits = tf.matmul(query, key, transpose_b=True) + self.distance_bias(length) + self.time_bias(buckets)
        position = tf.range(length)
        sees = tf.cast(position <= position[:, tf.newaxis], logits.dtype)
        weights = tf.nn.silu(logits) * (sees / tf.reduce_sum(sees, axis=-1, keepdims=True))
        gated = self.norms[1](merge_heads(tf.matmul(weights, value))) * projected[..., :dimension]
        return events + self.output_projection(self.dropout(gated, training=training))
