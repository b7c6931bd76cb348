"""Decayed sums of the history."""

import math

import tensorflow as tf

from trainer.encoders.masks import causal_mask

_FASTEST_DECAY, _SLOWEST_DECAY = 0.35, 0.995


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

    def call(self, events: tf.Tensor, visible: tf.Tensor, times: tf.Tensor, training: bool = False) -> tf.Tensor:
        """float [B, L, D], bool [B, L], int64 [B, L] (not read) -> float [B, L, D]."""
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
