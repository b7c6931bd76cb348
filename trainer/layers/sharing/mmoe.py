"""Experts for all tasks and a gate for each."""

import math
from collections.abc import Sequence

import tensorflow as tf

from trainer.layers.sharing.base import Sharing, States


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


class MixtureOfExperts(Sharing):
    """Each task's state is its own mixture of common experts.

    Ma et al., "Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts" (2018).

    Args:
        tasks: their names.
        experts: E.
        width: of each expert and of the states.
        is_residual: of `Sharing`.
    """

    def __init__(self, tasks: Sequence[str], experts: int, width: int, is_residual: bool = False) -> None:
        super().__init__(tasks, is_residual)
        self.experts = Experts(experts, width, name="experts")
        self.gate_layers = {task: Gate(experts, name=f"{task}_gate") for task in tasks}

    def mix(self, state: tf.Tensor) -> States:
        """float [B, L, S] -> float [B, L, W] by task."""
        experts = self.experts(state)
        return {task: mixture(experts, gate(state)) for task, gate in self.gate_layers.items()}

    def gates(self, state: tf.Tensor) -> dict[str, tf.Tensor]:
        """float [B, L] by `<task>/expert_<e>`."""
        return {
            f"{task}/expert_{e}": weight
            for task, gate in self.gate_layers.items()
            for e, weight in enumerate(tf.unstack(gate(state), axis=-1))
        }
