"""Experts for all tasks, experts of each task's own, and gates over both, level by level."""

from collections.abc import Sequence

import tensorflow as tf

from trainer.layers.sharing.base import Sharing, States
from trainer.layers.sharing.mmoe import Experts, Gate, mixture

_SHARED = "shared"


class ProgressiveExtraction(Sharing):
    """Tasks part from each other level by level.

    Tang et al., "Progressive Layered Extraction (PLE): A Novel Multi-Task Learning Model for Personalized
    Recommendations" (2020); one level is their customised gate control (CGC).

    Args:
        tasks: their names.
        experts: common ones of a level.
        task_experts: of each task and level.
        levels: at least 1.
        width: of each expert and of the states.
        is_residual: of `Sharing`.
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
        """float [B, L, S] -> float [B, L, W] by task."""
        states = self._start(state)
        for level in self.levels:
            states = level(states)
        return states

    def gates(self, state: tf.Tensor) -> dict[str, tf.Tensor]:
        """float [B, L] by `level_<i>/<task or shared>/<task or shared>_<e>`."""
        weights: dict[str, tf.Tensor] = {}
        states = self._start(state)
        for level in self.levels:
            weights |= {f"{level.name}/{name}": values for name, values in level.gates(states).items()}
            states = level(states)
        return weights

    def _start(self, state: tf.Tensor) -> States:
        return dict.fromkeys((*self.tasks, _SHARED), state)


class ExtractionLevel(tf.keras.layers.Layer):
    """One level: each task's gate weighs its own and the common experts, the common state's gate weighs all.

    Args:
        is_last: there is no common state after it.
    """

    def __init__(
        self, tasks: Sequence[str], experts: int, task_experts: int, width: int, is_last: bool, name: str
    ) -> None:
        super().__init__(name=name)
        counts = dict.fromkeys(tasks, task_experts) | {_SHARED: experts}
        self._reads = {task: (task, _SHARED) for task in tasks} | ({} if is_last else {_SHARED: tuple(counts)})
        self._parts = {g: [f"{s}_{e}" for s in read for e in range(counts[s])] for g, read in self._reads.items()}
        self.experts = {source: Experts(count, width, name=f"{source}_experts") for source, count in counts.items()}
        self.gate_layers = {g: Gate(len(parts), name=f"{g}_gate") for g, parts in self._parts.items()}

    def call(self, states: States) -> States:
        """Float [B, L, S] by task and `shared` -> float [B, L, W], without `shared` after the last level."""
        experts = {source: layer(states[source]) for source, layer in self.experts.items()}
        return {
            name: mixture(
                tf.concat([experts[source] for source in read], axis=-2), self.gate_layers[name](states[name])
            )
            for name, read in self._reads.items()
        }

    def gates(self, states: States) -> dict[str, tf.Tensor]:
        """float [B, L] by `<gate>/<expert>`."""
        return {
            f"{name}/{part}": weight
            for name, parts in self._parts.items()
            for part, weight in zip(parts, tf.unstack(self.gate_layers[name](states[name]), axis=-1), strict=True)
        }
