"""What every way of sharing has."""

from collections.abc import Sequence

import tensorflow as tf

States = dict[str, tf.Tensor]
"""States float [B, L, W] by their names; a task's is found by `Sharing.state_of`."""


class Sharing(tf.keras.layers.Layer):
    """Makes the tasks' states from the query's state at every position.

    It works on the query alone, before any candidate is met: once for a request however many items are ranked, and
    retrieval stays one dot product.

    Args:
        tasks: their names.
    """

    def __init__(self, tasks: Sequence[str]) -> None:
        super().__init__(name="sharing")
        self.tasks = tuple(tasks)

    def state_of(self, task: str) -> str:
        """The name of the state that a task reads: its own where not said otherwise."""
        return task

    def call(self, state: tf.Tensor) -> States:
        """The query's state float [B, L, S] -> the tasks' states float [B, L, W]."""
        raise NotImplementedError

    def gates(self, state: tf.Tensor) -> dict[str, tf.Tensor]:
        """How much each part weighs for each task: float [B, L] by `<task>/<part>`; empty where nothing is weighed."""
        return {}
