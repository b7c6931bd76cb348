"""One state for all tasks."""

import tensorflow as tf

from trainer.sharing.base import Sharing, States

_SHARED = "shared"


class HardSharing(Sharing):
    """The query's state itself, for every task (hard parameter sharing: Caruana, "Multitask Learning", 1997)."""

    def state_of(self, task: str) -> str:
        """The same name for every task."""
        return _SHARED

    def mix(self, state: tf.Tensor) -> States:
        """float [B, L, S] -> itself."""
        return {_SHARED: state}
