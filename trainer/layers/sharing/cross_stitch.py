"""A tower for each task, their activations mixed after every layer."""

from collections.abc import Sequence

import tensorflow as tf

from trainer.layers.sharing.base import Sharing, States

_OWN = 0.9


class CrossStitch(Sharing):
    """Layers of each task's own, and after every layer learned linear combinations of the tasks' activations.

    Misra et al., "Cross-stitch Networks for Multi-task Learning" (2016). A task starts with 0.9 of its own activations
    and 0.1 of the others' mean, as they advise.

    Args:
        tasks: their names.
        levels: layers of a tower.
        width: of the layers and of the states.
        is_residual: of `Sharing`.
    """

    def __init__(self, tasks: Sequence[str], levels: int, width: int, is_residual: bool = False) -> None:
        super().__init__(tasks, is_residual)
        self.towers = {
            task: [tf.keras.layers.Dense(width, activation="gelu", name=f"{task}_{i}") for i in range(levels)]
            for task in tasks
        }
        start = tf.keras.initializers.Constant(_start(len(tasks)))
        shape = [len(tasks), len(tasks)]
        self.stitches = [self.add_weight(name=f"stitch_{i}", shape=shape, initializer=start) for i in range(levels)]

    def mix(self, state: tf.Tensor) -> States:
        """float [B, L, S] -> float [B, L, W] by task."""
        states = [state] * len(self.tasks)
        for level, stitch in enumerate(self.stitches):
            activations = [self.towers[task][level](s) for task, s in zip(self.tasks, states, strict=True)]
            states = tf.unstack(tf.tensordot(stitch, tf.stack(activations), axes=1))
        return dict(zip(self.tasks, states, strict=True))

    def gates(self, state: tf.Tensor) -> dict[str, tf.Tensor]:
        """float [B, L] by `level_<i>/<task>/<other task>`: the same everywhere."""
        everywhere = tf.ones_like(state[..., 0])
        return {
            f"level_{level}/{task}/{other}": stitch[t, s] * everywhere
            for level, stitch in enumerate(self.stitches)
            for t, task in enumerate(self.tasks)
            for s, other in enumerate(self.tasks)
        }


def _start(count: int) -> tf.Tensor:
    if count == 1:
        return tf.eye(1)
    other = (1 - _OWN) / (count - 1)
    return tf.fill([count, count], other) + (_OWN - other) * tf.eye(count)
