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
        is_residual: what `mix` makes is added to the query's state, W wide as it, and does not replace it.
    """

    def __init__(self, tasks: Sequence[str], is_residual: bool = False) -> None:
        super().__init__(name="sharing")
        self.tasks = tuple(tasks)
        self._is_residual = is_residual

    def state_of(self, task: str) -> str:
        """The name of the state that a task reads: its own where not said otherwise."""
        return task

    def call(self, state: tf.Tensor) -> States:
        """The query's state float [B, L, S] -> the tasks' states float [B, L, W]."""
        states = self.mix(state)
        return {name: state + values for name, values in states.items()} if self._is_residual else states

    def mix(self, state: tf.Tensor) -> States:
        """The method's own part of `call`."""
        raise NotImplementedError

    def gates(self, state: tf.Tensor) -> dict[str, tf.Tensor]:
        """How much each part weighs for each task: float [B, L] by `<task>/<part>`; empty where nothing is weighted."""
        return {}


_SHARED = "shared"


class HardSharing(Sharing):
    """The query's state itself, for every task (hard parameter sharing: Caruana, "Multitask Learning", 1997)."""

    def state_of(self, task: str) -> str:
        """The same name for every task."""
        return _SHARED

    def mix(self, state: tf.Tensor) -> States:
        """float [B, L, S] -> itself."""
        return {_SHARED: state}
