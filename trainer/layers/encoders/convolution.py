"""Causal dilated convolutions over the history."""

import tensorflow as tf

from config.model import HistoryConfig
from trainer.distributed.randomness import Dropout, Randomness
from trainer.layers.encoders.base import Encoder
from trainer.layers.encoders.packing import Packing


class ConvolutionEncoder(Encoder):
    """Causal dilated convolutions over the visible events, beside the maximum of each channel over the past.

    The stack is that of Yuan et al., "A Simple Convolutional Generative Network for Next Item Recommendation" (2019):
    one residual block for each dilation. An event's state sees the `1 + (kernel_size - 1) * sum(dilations)` newest
    visible events through the convolutions (31 by default), and every earlier one through the maximum over time
    (Kim, "Convolutional Neural Networks for Sentence Classification", 2014).

    Args:
        config: kernel_size, dilations, dropout; `max_events` bounds the pooled past.
        randomness: Of the dropout.
    """

    def __init__(self, config: HistoryConfig, randomness: Randomness, name: str = "cnn") -> None:
        super().__init__(name=name)
        self._max_events = config.max_events
        self.blocks = [
            ConvolutionBlock(config, rate, randomness, f"block_{i}") for i, rate in enumerate(config.dilations)
        ]

    def build(self, input_shape: tf.TensorShape) -> None:
        """Adds the projection: input float [B, L, D]."""
        self.mix = tf.keras.layers.Dense(input_shape[-1], name="mix")
        super().build(input_shape)

    def call(
        self, events: tf.Tensor, visible: tf.Tensor, times: tf.Tensor, training: bool = False, newest: bool = False
    ) -> tf.Tensor:
        """See `Encoder`."""
        packing = Packing.of(visible)
        states = packing.pack(events)
        for block in self.blocks:
            states = block(states, training=training)
        pooled = running_maximum(states, self._max_events)
        return packing.unpack(self.mix(tf.concat([states, pooled], axis=-1)))


class ConvolutionBlock(tf.keras.layers.Layer):
    """A causal convolution, added to its input."""

    def __init__(self, config: HistoryConfig, dilation: int, randomness: Randomness, name: str) -> None:
        super().__init__(name=name)
        self._lags = [lag * dilation for lag in range(config.kernel_size)]
        self.norm = tf.keras.layers.LayerNormalization(epsilon=1e-6, name="norm")
        self.dropout = Dropout(config.dropout, randomness)

    def build(self, input_shape: tf.TensorShape) -> None:
        """Adds the kernel: input float [B, L, D]. Its rows are D for the newest event, D for the one a lag ago, ..."""
        self.convolve = tf.keras.layers.Dense(input_shape[-1], activation="gelu", name="convolve")
        super().build(input_shape)

    def call(self, states: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Applies the block to float [B, L, D]: float [B, L, D]."""
        # One matrix product: the dilated convolution of TensorFlow fails on an empty batch.
        normed = self.norm(states)
        convolved = self.convolve(tf.concat([shifted(normed, lag) for lag in self._lags], axis=-1))
        return states + self.dropout(convolved, training=training)


def shifted(values: tf.Tensor, lag: int) -> tf.Tensor:
    """Shifts float [B, L, D] by `lag` positions, zeros at the start: with lag 1, a b c becomes 0 a b."""
    return tf.pad(values, [[0, 0], [lag, 0], [0, 0]])[:, : tf.shape(values)[1]]


def running_maximum(values: tf.Tensor, longest: int) -> tf.Tensor:
    """Computes the maximum up to each position of float [B, L, D], with L at most `longest`: float [B, L, D]."""
    padded = tf.pad(values, [[0, 0], [longest - 1, 0], [0, 0]], constant_values=values.dtype.min)
    return tf.nn.max_pool1d(padded, longest, strides=1, padding="VALID")
