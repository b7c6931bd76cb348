"""Sharing by mixtures of experts: MMoE, and PLE with experts of each task's own."""

import math
from collections.abc import Sequence

import tensorflow as tf

from trainer.layers.sharing.base import SHARED, Sharing, States


class Experts(tf.keras.layers.Layer):
    """Parallel dense layers with GELU.

    Args:
        count: E.
        width: W, of each.
    """

    def __init__(self, count: int, width: int, name: str) -> None:
        super().__init__(name=name)
        self._count = count
        self._width = width

    def build(self, input_shape: tf.TensorShape) -> None:
        """Adds the weights: input float [..., S]. Each expert is initialised as a Dense layer of its own (Glorot)."""
        inputs = input_shape[-1]
        limit = math.sqrt(6 / (inputs + self._width))
        start = tf.keras.initializers.RandomUniform(-limit, limit)
        self.kernel = self.add_weight(name="kernel", shape=[inputs, self._count, self._width], initializer=start)
        self.bias = self.add_weight(name="bias", shape=[self._count, self._width], initializer="zeros")
        super().build(input_shape)

    def call(self, values: tf.Tensor) -> tf.Tensor:
        """Applies the experts to float [..., S]: float [..., E, W]."""
        return tf.nn.gelu(tf.tensordot(values, self.kernel, axes=1) + self.bias)


class Gate(tf.keras.layers.Layer):
    """The weights of E experts for an input: a softmax over a linear map of it.

    Args:
        count: E.
    """

    def __init__(self, count: int, name: str) -> None:
        super().__init__(name=name)
        self.project = tf.keras.layers.Dense(count, use_bias=False, name="project")

    def call(self, values: tf.Tensor) -> tf.Tensor:
        """Computes the weights for float [..., S]: float [..., E] of sum 1."""
        return tf.nn.softmax(self.project(values))


def mixture(experts: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Mixes experts float [..., E, W] by weights float [..., E]: float [..., W]."""
    return tf.reduce_sum(experts * weights[..., tf.newaxis], axis=-2)


class MixtureOfExperts(Sharing):
    """Each task's state is its own mixture of common experts.

    Ma et al., "Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts" (2018).

    Args:
        tasks: Their names.
        experts: E.
        width: Of each expert and of the states.
        is_residual: See `Sharing`.
    """

    def __init__(self, tasks: Sequence[str], experts: int, width: int, is_residual: bool = False) -> None:
        super().__init__(tasks, is_residual)
        self.experts = Experts(experts, width, name="experts")
        self.gate_layers = {task: Gate(experts, name=f"{task}_gate") for task in tasks}

    def mix(self, state: tf.Tensor) -> States:
        """See `Sharing`."""
        experts = self.experts(state)
        return {task: mixture(experts, gate(state)) for task, gate in self.gate_layers.items()}

    def gates(self, state: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns float [B, L] by `<task>/expert_<e>`."""
        return {
            f"{task}/expert_{e}": weight
            for task, gate in self.gate_layers.items()
            for e, weight in enumerate(tf.unstack(gate(state), axis=-1))
        }


class ProgressiveExtraction(Sharing):
    """Common experts, experts of each task's own and gates over both, level by level.

    Tang et al., "Progressive Layered Extraction (PLE): A Novel Multi-Task Learning Model for Personalized
    Recommendations" (2020); one level is their customised gate control (CGC).

    Args:
        tasks: Their names.
        experts: The number of common experts of a level.
        task_experts: The number of experts of each task in a level.
        levels: At least 1.
        width: Of each expert and of the states.
        is_residual: See `Sharing`.
    """

    def __init__(
        self, tasks: Sequence[str], experts: int, task_experts: int, levels: int, width: int, is_residual: bool = False
    ) -> None:
        super().__init__(tasks, is_residual)
        self.levels = [
            ExtractionLevel(tasks, experts, task_experts, width, is_last=i == levels - 1, name=f"level_{i}")
            for i in range(levels)
        ]

    def mix(self, state: tf.Tensor) -> States:
        """See `Sharing`."""
        states = dict.fromkeys((*self.tasks, SHARED), state)
        for level in self.levels:
            states = level(states)
        return states

    def gates(self, state: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns float [B, L] by `level_<i>/<task or shared>/<task or shared>_<e>`."""
        weights: dict[str, tf.Tensor] = {}
        states = dict.fromkeys((*self.tasks, SHARED), state)
        for level in self.levels:
            weights |= {f"{level.name}/{name}": values for name, values in level.gates(states).items()}
            states = level(states)
        return weights


class ExtractionLevel(tf.keras.layers.Layer):
    """One level of PLE: each task's gate weighs its own and the common experts, the gate of the common state all.

    Args:
        is_last: Whether there is no common state after it.
    """

    def __init__(
        self, tasks: Sequence[str], experts: int, task_experts: int, width: int, is_last: bool, name: str
    ) -> None:
        super().__init__(name=name)
        counts = dict.fromkeys(tasks, task_experts) | {SHARED: experts}
        self._reads = {task: (task, SHARED) for task in tasks} | ({} if is_last else {SHARED: tuple(counts)})
        self._parts = {g: [f"{s}_{e}" for s in read for e in range(counts[s])] for g, read in self._reads.items()}
        self.experts = {source: Experts(count, width, name=f"{source}_experts") for source, count in counts.items()}
        self.gate_layers = {g: Gate(len(parts), name=f"{g}_gate") for g, parts in self._parts.items()}

    def call(self, states: States) -> States:
        """Computes float [B, L, W] from float [B, L, S], by task and `shared`; no `shared` after the last level."""
        experts = {source: layer(states[source]) for source, layer in self.experts.items()}
        return {
            name: mixture(
                tf.concat([experts[source] for source in read], axis=-2), self.gate_layers[name](states[name])
            )
            for name, read in self._reads.items()
        }

    def gates(self, states: States) -> dict[str, tf.Tensor]:
        """Returns float [B, L] by `<gate>/<expert>`."""
        return {
            f"{name}/{part}": weight
            for name, parts in self._parts.items()
            for part, weight in zip(parts, tf.unstack(self.gate_layers[name](states[name]), axis=-1), strict=True)
        }
