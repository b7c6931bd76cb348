"""Weights from the noise that each task is learned to have."""

from collections.abc import Mapping

import tensorflow as tf

from config.tasks import RegressionTask, Task
from trainer.distributed.strategies import global_sum
from trainer.losses.balancing.base import Balancing


class UncertaintyWeighting(Balancing):
    """The likelihood of all labels under each task's learned noise.

    Kendall, Gal and Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses for Scene Geometry and Semantics"
    (2018): a task with variance sigma^2 = exp(s) adds c exp(-s) loss + s / 2, where c is 1/2 for a squared error and 1
    for a cross-entropy. s starts at 0 and is learned with the model; a task without a target in a batch leaves it. The
    whole term is multiplied by the task's configured weight.
    """

    def __init__(self, tasks: Mapping[str, Task]) -> None:
        super().__init__(tasks)
        self._factors = tf.constant([0.5 if isinstance(task, RegressionTask) else 1.0 for task in tasks.values()])
        self.log_variance = self.add_weight(name="log_variance", shape=[len(tasks)], initializer="zeros")

    def task_weights(self) -> dict[str, float | tf.Tensor]:
        """weight c exp(-s) by task."""
        weights = tf.unstack(self._factors * tf.exp(-self.log_variance))
        return {name: self.priorities[name] * weight for name, weight in zip(self.tasks, weights, strict=True)}

    def total(self, losses: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The weighted losses and this replica's share of the penalties."""
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        penalties = [
            self.priorities[name] * tf.where(global_sum(losses[name]) > 0, log_variance / (2 * replicas), 0)
            for name, log_variance in zip(self.tasks, tf.unstack(self.log_variance), strict=True)
        ]
        return super().total(losses) + tf.add_n(penalties)
