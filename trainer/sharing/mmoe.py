"""Experts for all tasks and a gate for each."""

from collections.abc import Sequence

import tensorflow as tf

from trainer.sharing.base import Sharing, States
from trainer.sharing.experts import Experts, Gate, mixture


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
