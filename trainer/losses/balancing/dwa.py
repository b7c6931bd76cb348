"""Weights from how fast each loss fell."""

from collections.abc import Mapping

import tensorflow as tf

from config.tasks import Task
from trainer.losses.balancing.base import Balancing

_FIRST_REPLICA = tf.VariableAggregation.ONLY_FIRST_REPLICA


class DynamicWeightAverage(Balancing):
    """T softmax(r / temperature), where r is a task's mean loss of the last epoch over that of the one before.

    Liu, Johns and Davison, "End-to-End Multi-Task Learning with Attention" (2019). r is 1 until there are two epochs,
    and for a task without losses. Times the configured weights.

    Args:
        tasks: T of them, by name.
        temperature: the higher, the more alike the weights.
    """

    def __init__(self, tasks: Mapping[str, Task], temperature: float) -> None:
        super().__init__(tasks)
        self._temperature = temperature
        self.losses_before = self.add_weight(
            name="losses_before",
            shape=[2, len(tasks)],
            initializer="zeros",
            trainable=False,
            aggregation=_FIRST_REPLICA,
        )

    def task_weights(self) -> dict[str, float | tf.Tensor]:
        """weight T softmax(r / temperature) by task."""
        last, before = tf.unstack(self.losses_before)
        ratio = tf.where((last > 0) & (before > 0), tf.math.divide_no_nan(last, before), 1)
        weights = tf.unstack(len(self.tasks) * tf.nn.softmax(ratio / self._temperature))
        return {name: self.priorities[name] * weight for name, weight in zip(self.tasks, weights, strict=True)}

    def end_epoch(self, losses: Mapping[str, float]) -> None:
        """The losses become the last ones."""
        last = tf.constant([losses[name] for name in self.tasks], tf.float32)
        self.losses_before.assign(tf.stack([last, self.losses_before[0]]))
