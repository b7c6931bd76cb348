"""How the tasks' losses are weighed against each other."""

from collections.abc import Mapping

import tensorflow as tf

from pipeline.config import Config


class FixedBalancing:
    """The sum of the losses, each times its task's configured weight."""

    def __init__(self, config: Config) -> None:
        self.weights = {name: task.weight for name, task in config.tasks.items()}

    def total(self, losses: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Scalar losses by task -> scalar."""
        return tf.add_n([self.weights[name] * loss for name, loss in losses.items()])
