"""Experts and gates: what the mixtures are made of."""

import math

import tensorflow as tf


class Experts(tf.keras.layers.Layer):
    """Dense layers with GELU side by side.

    Args:
        count: E.
        width: W, of each.
    """

    def __init__(self, count: int, width: int, name: str) -> None:
        super().__init__(name=name)
        self._count = count
        self._width = width

    def build(self, input_shape: tf.TensorShape) -> None:
        """Adds the weights: input float [..., S]. Each expert starts as a Dense layer of its own would (Glorot)."""
        inputs = input_shape[-1]
        limit = math.sqrt(6 / (inputs + self._width))
        start = tf.keras.initializers.RandomUniform(-limit, limit)
        self.kernel = self.add_weight(name="kernel", shape=[inputs, self._count, self._width], initializer=start)
        self.bias = self.add_weight(name="bias", shape=[self._count, self._width], initializer="zeros")
        super().build(input_shape)

    def call(self, values: tf.Tensor) -> tf.Tensor:
        """float [..., S] -> float [..., E, W]."""
        return tf.nn.gelu(tf.tensordot(values, self.kernel, axes=1) + self.bias)


class Gate(tf.keras.layers.Layer):
    """The weights of experts for an input: a softmax over a linear map of it.

    Args:
        count: E.
    """

    def __init__(self, count: int, name: str) -> None:
        super().__init__(name=name)
        self.project = tf.keras.layers.Dense(count, use_bias=False, name="project")

    def call(self, values: tf.Tensor) -> tf.Tensor:
        """float [..., S] -> float [..., E], which sums to 1."""
        return tf.nn.softmax(self.project(values))


def mixture(experts: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """float [..., E, W] and float [..., E] -> float [..., W]."""
    return tf.reduce_sum(experts * weights[..., tf.newaxis], axis=-2)
