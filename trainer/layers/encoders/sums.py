"""Decayed sums of the history."""

import math

import tensorflow as tf

from trainer.layers.encoders.base import Encoder


class MeanEncoder(Encoder):
    """The mean of the visible events so far; zero where there is none."""

    def call(self, events: tf.Tensor, visible: tf.Tensor, times: tf.Tensor, training: bool = False) -> tf.Tensor:
        """float [B, L, D], bool [B, L], int64 [B, L] (not read) -> float [B, L, D]."""
        weights = tf.cast(visible, events.dtype)[..., tf.newaxis]
        return tf.math.divide_no_nan(tf.cumsum(events * weights, axis=1), tf.cumsum(weights, axis=1))


_FASTEST_DECAY, _SLOWEST_DECAY = 0.35, 0.995


class DecayEncoder(Encoder):
    """Exponentially decayed means of the visible events at learned rates, mixed linearly.

    The k-th mean weighs an event that lies n positions back by r_k^n. The rates start evenly spread between 0.35 and 0.995
    in the logarithm of -log(r), so that the half-lives reach from less than one event to 140.

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
        """float [K] in (0, 1): the factor of an event's weight for each position behind it."""
        return tf.exp(-tf.exp(self.log_rate))

    def call(self, events: tf.Tensor, visible: tf.Tensor, times: tf.Tensor, training: bool = False) -> tf.Tensor:
        """float [B, L, D], bool [B, L], int64 [B, L] (not read) -> float [B, L, D]."""
        position = tf.range(tf.cast(tf.shape(events)[1], tf.float32))
        return self._mixed_means(position[:, tf.newaxis] - position, events, visible)

    def newest(self, events: tf.Tensor, visible: tf.Tensor, times: tf.Tensor) -> tf.Tensor:
        """As `Encoder.newest`: of each rate one mean."""
        position = tf.range(tf.cast(tf.shape(events)[1], tf.float32))
        return self._mixed_means(position[tf.newaxis, ::-1], events, visible)[:, 0]

    def _mixed_means(self, age: tf.Tensor, events: tf.Tensor, visible: tf.Tensor) -> tf.Tensor:
        """At positions from which the events are so far away, float [P, L], negative where they lie ahead: [B, P, D]."""
        batch, length, dimension = tf.shape(events)[0], tf.shape(events)[1], events.shape[-1]
        counts = tf.transpose(tf.cast(visible, tf.float32))
        seen = tf.transpose(events, [1, 0, 2]) * counts[..., tf.newaxis]
        # Each is one product for all rows.
        factors = self.factors(age)
        sums = tf.matmul(factors, tf.reshape(seen, [length, batch * dimension]))
        totals = tf.matmul(factors, counts)
        shape = [self._decays, tf.shape(age)[0], batch]
        means = tf.math.divide_no_nan(tf.reshape(sums, [*shape, dimension]), tf.reshape(totals, [*shape, 1]))
        means = tf.transpose(means, [2, 1, 0, 3])
        return self.mix(tf.reshape(means, [batch, shape[1], self._decays * dimension]))

    def factors(self, age: tf.Tensor) -> tf.Tensor:
        """float [P, L], how many positions before each position an event lies -> float [K x P, L]: r_k^age, 0 where it lies
        ahead."""
        weights = tf.exp(-tf.exp(self.log_rate)[:, tf.newaxis, tf.newaxis] * tf.maximum(age, 0))
        return tf.reshape(tf.where(age >= 0, weights, 0), [-1, tf.shape(age)[1]])
