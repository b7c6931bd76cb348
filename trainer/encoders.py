"""How a history becomes a vector at every position.

Every encoder is causal: its state at position i is made of the visible events at positions up to i. `before` turns
that into what the model may know when event i is about to happen. Nothing loops over positions.
"""

import math

import tensorflow as tf

from pipeline.config.model import HistoryConfig
from trainer.randomness import Dropout, Randomness

_HIDDEN = -1e9
"""Added to the attention logits of events that a position may not see."""
_FASTEST_DECAY, _SLOWEST_DECAY = 0.35, 0.995


class MeanEncoder(tf.keras.layers.Layer):
    """The mean of the visible events so far; zero where there is none."""

    def call(self, events: tf.Tensor, visible: tf.Tensor, training: bool = False) -> tf.Tensor:
        """float [B, L, D], bool [B, L] -> float [B, L, D]."""
        weights = tf.cast(visible, events.dtype)[..., tf.newaxis]
        return tf.math.divide_no_nan(tf.cumsum(events * weights, axis=1), tf.cumsum(weights, axis=1))


class DecayEncoder(tf.keras.layers.Layer):
    """Exponentially decayed means of the visible events at learned rates, mixed linearly.

    The k-th mean weighs an event that n visible events followed by r_k^n. The rates start evenly spread between
    0.35 and 0.995 in the logarithm of -log(r), so that the half-lives reach from less than one event to 140.

    Args:
        decays: the number of rates.
    """

    def __init__(self, decays: int, name: str = "decay") -> None:
        super().__init__(name=name)
        self._decays = decays

    def build(self, input_shape: tf.TensorShape) -> None:
        """Adds the rates and the mixture: input float [B, L, D]."""
        fastest, slowest = (math.log(-math.log(r)) for r in (_FASTEST_DECAY, _SLOWEST_DECAY))
        start = [fastest + (slowest - fastest) * k / max(1, self._decays - 1) for k in range(self._decays)]
        initializer = tf.keras.initializers.Constant(start)
        self.log_rate = self.add_weight(name="log_rate", shape=[self._decays], initializer=initializer)
        self.mix = tf.keras.layers.Dense(input_shape[-1], use_bias=False, name="mix")
        super().build(input_shape)

    def rates(self) -> tf.Tensor:
        """float [K] in (0, 1): the factor of an event's weight for each event that follows."""
        return tf.exp(-tf.exp(self.log_rate))

    def call(self, events: tf.Tensor, visible: tf.Tensor, training: bool = False) -> tf.Tensor:
        """float [B, L, D], bool [B, L] -> float [B, L, D]."""
        means = tf.matmul(self.weights_of(visible), events[:, tf.newaxis])
        means = tf.transpose(means, [0, 2, 1, 3])
        batch, length, dimension = tf.shape(events)[0], tf.shape(events)[1], events.shape[-1]
        return self.mix(tf.reshape(means, [batch, length, self._decays * dimension]))

    def weights_of(self, visible: tf.Tensor) -> tf.Tensor:
        """bool [B, L] -> float [B, K, L, L]: weights of events (last axis) at positions, which sum to 1, or all 0."""
        order = tf.cumsum(tf.cast(visible, tf.float32), axis=1)
        age = order[:, tf.newaxis, :, tf.newaxis] - order[:, tf.newaxis, tf.newaxis, :]
        sees = tf.cast(causal_mask(visible), tf.float32)[:, tf.newaxis]
        weights = tf.exp(-tf.exp(self.log_rate)[:, tf.newaxis, tf.newaxis] * tf.maximum(age, 0)) * sees
        return tf.math.divide_no_nan(weights, tf.reduce_sum(weights, axis=-1, keepdims=True))


class AttentionEncoder(tf.keras.layers.Layer):
    """Causal self-attention: pre-norm blocks with a learned bias for each distance and head.

    The blocks are those of Kang and McAuley, "Self-Attentive Sequential Recommendation" (2018), with the norm before
    each half (Xiong et al., 2020) and relative positions (Raffel et al., 2020) without buckets.

    Args:
        config: heads, layers, dropout; `max_events` bounds the distance.
        randomness: of the dropout.
    """

    def __init__(self, config: HistoryConfig, randomness: Randomness, name: str = "attention") -> None:
        super().__init__(name=name)
        self.blocks = [AttentionBlock(config, randomness, name=f"block_{i}") for i in range(config.layers)]

    def call(self, events: tf.Tensor, visible: tf.Tensor, training: bool = False) -> tf.Tensor:
        """float [B, L, D], bool [B, L] -> float [B, L, D]; only visible positions have a meaning."""
        blocked = tf.where(causal_mask(visible), 0.0, _HIDDEN)[:, tf.newaxis]
        for block in self.blocks:
            events = block(events, blocked, training=training)
        return events


class AttentionBlock(tf.keras.layers.Layer):
    """One attention layer and one feed-forward layer, each added to its input."""

    def __init__(self, config: HistoryConfig, randomness: Randomness, name: str) -> None:
        super().__init__(name=name)
        self._heads = config.heads
        self._max_events = config.max_events
        self.norms = [tf.keras.layers.LayerNormalization(epsilon=1e-6, name=f"norm_{i}") for i in range(2)]
        self.dropouts = [Dropout(config.dropout, randomness, name=f"dropout_{i}") for i in range(2)]

    def build(self, input_shape: tf.TensorShape) -> None:
        """Adds the projections: input float [B, L, D]; D should be a multiple of the heads."""
        dimension = input_shape[-1]
        if dimension % self._heads:
            raise ValueError(
                f"`model.dimension` should be a multiple of `heads`. Received: {dimension} and {self._heads}"
            )
        self.project = tf.keras.layers.Dense(3 * dimension, name="project")
        self.output_projection = tf.keras.layers.Dense(dimension, name="output")
        self.expand = tf.keras.layers.Dense(2 * dimension, activation="gelu", name="expand")
        self.contract = tf.keras.layers.Dense(dimension, name="contract")
        self.distance_bias = self.add_weight(
            name="distance_bias", shape=[self._heads, self._max_events], initializer="zeros"
        )
        super().build(input_shape)

    def call(self, events: tf.Tensor, blocked: tf.Tensor, training: bool = False) -> tf.Tensor:
        """float [B, L, D], float [B, 1, L, L] added to the attention's logits -> float [B, L, D]."""
        attended = self._attend(self.norms[0](events), blocked)
        events += self.dropouts[0](attended, training=training)
        return events + self.dropouts[1](self.contract(self.expand(self.norms[1](events))), training=training)

    def _attend(self, events: tf.Tensor, blocked: tf.Tensor) -> tf.Tensor:
        batch, length, dimension = tf.shape(events)[0], tf.shape(events)[1], events.shape[-1]
        width = dimension // self._heads
        split = tf.reshape(self.project(events), [batch, length, 3, self._heads, width])
        query, key, value = tf.unstack(tf.transpose(split, [2, 0, 3, 1, 4]))
        logits = tf.matmul(query, key, transpose_b=True) / math.sqrt(width)
        attended = tf.matmul(tf.nn.softmax(logits + self._bias(length) + blocked), value)
        return self.output_projection(tf.reshape(tf.transpose(attended, [0, 2, 1, 3]), [batch, length, dimension]))

    def _bias(self, length: tf.Tensor) -> tf.Tensor:
        place = tf.range(length)
        distance = tf.clip_by_value(place[:, tf.newaxis] - place, 0, self._max_events - 1)
        return tf.gather(self.distance_bias, distance, axis=1)


class HistoryEncoder(tf.keras.layers.Layer):
    """The configured encoders' sum, normalised."""

    def __init__(self, config: HistoryConfig, randomness: Randomness, name: str = "history") -> None:
        super().__init__(name=name)
        self.encoders = [_make_encoder(name, config, randomness) for name in config.encoders]
        self.norm = tf.keras.layers.LayerNormalization(epsilon=1e-6, name="norm")

    def call(self, events: tf.Tensor, visible: tf.Tensor, training: bool = False) -> tf.Tensor:
        """float [B, L, D], bool [B, L] -> float [B, L, D]."""
        return self.norm(tf.add_n([encoder(events, visible, training=training) for encoder in self.encoders]))


def _make_encoder(name: str, config: HistoryConfig, randomness: Randomness) -> tf.keras.layers.Layer:
    makers = {
        "mean": lambda: MeanEncoder(name="mean"),
        "decay": lambda: DecayEncoder(config.decays),
        "attention": lambda: AttentionEncoder(config, randomness),
    }
    return makers[name]()


def causal_mask(visible: tf.Tensor) -> tf.Tensor:
    """bool [B, L] -> bool [B, L, L]: whether a position (second axis) sees an event (last axis), its own included."""
    place = tf.range(tf.shape(visible)[1])
    return (place <= place[:, tf.newaxis]) & visible[:, tf.newaxis]


def last_visible_before(visible: tf.Tensor) -> tf.Tensor:
    """bool [B, L] -> int32 [B, L]: the place of the last visible event before each position, -1 where there is none."""
    place = tf.range(tf.shape(visible)[1])
    is_before = (place < place[:, tf.newaxis]) & visible[:, tf.newaxis]
    return tf.reduce_max(tf.where(is_before, place, -1), axis=-1)


def before(states: tf.Tensor, last: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """What is known before each position.

    Args:
        states: float [B, L, D], an encoder's.
        last: int32 [B, L], `last_visible_before`.
        start: float [D], where there is no history.

    Returns:
        float [B, L, D].
    """
    rows = tf.shape(states)[0]
    first = tf.tile(start[tf.newaxis, tf.newaxis], [rows, 1, 1])
    return tf.gather(tf.concat([first, states], axis=1), last + 1, batch_dims=1)


def gap_buckets(times: tf.Tensor, earlier: tf.Tensor, buckets: int) -> tf.Tensor:
    """The time between two events in powers of two.

    Args:
        times, earlier: int64 seconds, 0 where unknown.
        buckets: B.

    Returns:
        int32: 0 where a time is unknown; else 1 + floor(log2(1 + seconds)), B - 1 at most.
    """
    gap = tf.cast(tf.maximum(times - earlier, 0), tf.float64)
    bucket = 1 + tf.cast(tf.floor(tf.math.log1p(gap) / math.log(2.0) + 1e-12), tf.int32)
    is_known = (times > 0) & (earlier > 0)
    return tf.where(is_known, tf.minimum(bucket, buckets - 1), 0)


def lagged(values: tf.Tensor, last: tf.Tensor) -> tf.Tensor:
    """The values [B, L] of the events at places `last` [B, L]; 0 where that is -1."""
    return tf.where(last >= 0, tf.gather(values, tf.maximum(last, 0), batch_dims=1), tf.zeros_like(values))
