"""The interface of sharing, hard parameter sharing and cross-stitch networks."""

from collections.abc import Sequence

import tensorflow as tf

States = dict[str, tf.Tensor]
"""States float [B, L, W] by their names; a task's is found by `Sharing.state_of`."""

SHARED = "shared"
_OWN = 0.9


class Sharing(tf.keras.layers.Layer):
    """Computes the tasks' states from the query's state at every position.

    It reads the query alone: it runs once for a request however many items are ranked, and the retrieval score remains
    one dot product.

    Args:
        tasks: Their names.
        is_residual: Whether the output of `mix` is added to the query's state, of the same width W, or replaces it.
    """

    def __init__(self, tasks: Sequence[str], is_residual: bool = False) -> None:
        super().__init__(name="sharing")
        self.tasks = tuple(tasks)
        self._is_residual = is_residual

    def state_of(self, task: str) -> str:
        """Returns the name of the state that a task reads; by default its own."""
        return task

    def call(self, state: tf.Tensor) -> States:
        """Computes the tasks' states float [B, L, W] from the query's state float [B, L, S]."""
        states = self.mix(state)
        return {name: state + values for name, values in states.items()} if self._is_residual else states

    def mix(self, state: tf.Tensor) -> States:
        """Computes the method's part of `call`."""
        raise NotImplementedError

    def gates(self, state: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the weight of each part for each task, float [B, L] by `<task>/<part>`; empty without weights."""
        return {}


class HardSharing(Sharing):
    """The query's state itself, for every task (hard parameter sharing: Caruana, "Multitask Learning", 1997)."""

    def state_of(self, task: str) -> str:
        """Returns the same name for every task."""
        return SHARED

    def mix(self, state: tf.Tensor) -> States:
        """Returns the state."""
        return {SHARED: state}


class CrossStitch(Sharing):
    """Layers of each task's own, and after every layer learned linear combinations of the tasks' activations.

    Misra et al., "Cross-stitch Networks for Multi-task Learning" (2016). The matrices start at 0.9 for a task's own
    activations and share 0.1 among the others', as they advise.

    Args:
        tasks: Their names.
        levels: The number of layers of each task.
        width: Of the layers and of the states.
        is_residual: See `Sharing`.
    """

    def __init__(self, tasks: Sequence[str], levels: int, width: int, is_residual: bool = False) -> None:
        super().__init__(tasks, is_residual)
        self.towers = {
            task: [tf.keras.layers.Dense(width, activation="gelu", name=f"{task}_{i}") for i in range(levels)]
            for task in tasks
        }
        count = len(tasks)
        other = (1 - _OWN) / max(count - 1, 1)
        start = tf.eye(1) if count == 1 else tf.fill([count, count], other) + (_OWN - other) * tf.eye(count)
        initializer = tf.keras.initializers.Constant(start)
        self.stitches = [
            self.add_weight(name=f"stitch_{i}", shape=[count, count], initializer=initializer) for i in range(levels)
        ]

    def mix(self, state: tf.Tensor) -> States:
        """See `Sharing`."""
        states = [state] * len(self.tasks)
        for level, stitch in enumerate(self.stitches):
            activations = [self.towers[task][level](s) for task, s in zip(self.tasks, states, strict=True)]
            states = tf.unstack(tf.tensordot(stitch, tf.stack(activations), axes=1))
        return dict(zip(self.tasks, states, strict=True))

    def gates(self, state: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the matrices' entries, float [B, L] by `level_<i>/<task>/<other task>`, the same everywhere."""
        everywhere = tf.ones_like(state[..., 0])
        return {
            f"level_{level}/{task}/{other}": stitch[t, s] * everywhere
            for level, stitch in enumerate(self.stitches)
            for t, task in enumerate(self.tasks)
            for s, other in enumerate(self.tasks)
        }
