"""The mean of the history."""

import tensorflow as tf

from trainer.encoders.encoder import Encoder


class MeanEncoder(Encoder):
    """The mean of the visible events so far; zero where there is none."""

    def call(self, events: tf.Tensor, visible: tf.Tensor, times: tf.Tensor, training: bool = False) -> tf.Tensor:
        """float [B, L, D], bool [B, L], int64 [B, L] (not read) -> float [B, L, D]."""
        weights = tf.cast(visible, events.dtype)[..., tf.newaxis]
        return tf.math.divide_no_nan(tf.cumsum(events * weights, axis=1), tf.cumsum(weights, axis=1))
