"""Means of the history, plain and exponentially decayed."""

import math

import tensorflow as tf

from trainer.layers.encoders.base import Encoder

_FASTEST_DECAY, _SLOWEST_DECAY = 0.35, 0.995


class MeanEncoder(Encoder):
    """The mean of the visible events so far; zero where there is none."""

    def call(
        self, events: tf.Tensor, visible: tf.Tensor, times: tf.Tensor, training: bool = False, newest: bool = False
    ) -> tf.Tensor:
        """See `Encoder`."""
        weights = tf.cast(visible, events.dtype)[..., tf.newaxis]
        return tf.math.divide_no_nan(tf.cumsum(events * weights, axis=1), tf.cumsum(weights, axis=1))


class DecayEncoder(Encoder):
    """Exponentially decayed means of the visible events at K learned rates, mixed linearly.

    With x_j the events and v_j 1 where event j is visible, the k-th mean at position i is

        sum_{j <= i} r_k^(i - j) v_j x_j / sum_{j <= i} r_k^(i - j) v_j

    The rates start evenly spread between 0.35 and 0.995 in log(-log(r)): half-lives of less than one event to 140.

    Args:
        decays: K.
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
        """Returns the factor of an event's weight for each position behind it: float [K] in (0, 1)."""
        return tf.exp(-tf.exp(self.log_rate))

    def call(
        self, events: tf.Tensor, visible: tf.Tensor, times: tf.Tensor, training: bool = False, newest: bool = False
    ) -> tf.Tensor:
        """See `Encoder`."""
        batch, length, dimension = tf.shape(events)[0], tf.shape(events)[1], events.shape[-1]
        position = tf.range(tf.cast(length, tf.float32))
        factors = self.factors((position[-1:] if newest else position)[:, tf.newaxis] - position)
        counts = tf.transpose(tf.cast(visible, tf.float32))
        seen = tf.transpose(events, [1, 0, 2]) * counts[..., tf.newaxis]
        # Each is one matrix product for all rows and rates.
        sums = tf.matmul(factors, tf.reshape(seen, [length, batch * dimension]))
        totals = tf.matmul(factors, counts)
        shape = [self._decays, tf.shape(factors)[0] // self._decays, batch]
        means = tf.math.divide_no_nan(tf.reshape(sums, [*shape, dimension]), tf.reshape(totals, [*shape, 1]))
        means = tf.transpose(means, [2, 1, 0, 3])
        return self.mix(tf.reshape(means, [batch, shape[1], self._decays * dimension]))

    def factors(self, age: tf.Tensor) -> tf.Tensor:
        """Computes the weights of events.

        Args:
            age: float [P, L], how many positions before each of P positions an event lies; negative where it is later.

        Returns:
            float [K x P, L]: r_k^age, 0 for later events.
        """
        weights = tf.exp(-tf.exp(self.log_rate)[:, tf.newaxis, tf.newaxis] * tf.maximum(age, 0))
        return tf.reshape(tf.where(age >= 0, weights, 0), [-1, tf.shape(age)[1]])
