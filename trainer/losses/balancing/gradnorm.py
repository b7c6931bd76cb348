"""Weights that make the tasks' gradients equally long."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from config.tasks import Task
from config.training import BalancingConfig
from trainer.distributed.strategies import global_sum
from trainer.losses.balancing.base import Balancing
from trainer.losses.balancing.gradients import Gradient, global_matrix

_FIRST_REPLICA = tf.VariableAggregation.ONLY_FIRST_REPLICA
_SMALLEST = 1e-6
"""What a first loss counts as at least: a ratio to almost nothing would be infinite."""


class GradNorm(Balancing):
    """Weights w learned so that w times the norm of a task's gradient comes to the same for all.

    Chen et al., "GradNorm: Gradient Normalization for Adaptive Loss Balancing in Deep Multitask Networks" (2018). With
    G the weighted norms at the last layer that all tasks share, and r the tasks' loss ratios loss / first loss over
    their mean, each step descends sum |G - mean(G) r^alpha|, the mean taken as a constant, and scales the weights back
    to their sum T. The descent is on log w and in units of mean(G): so weights stay positive, and the learning rate
    means the same whatever the losses' size. A task without a target in a batch takes no part in its step.

    The weights are learned for the plain losses; the configured ones multiply them.

    Args:
        tasks: T of them, by name.
        config: alpha (`asymmetry`) and the learning rate.
        last_shared: the layer at whose weights the norms are taken.
    """

    def __init__(self, tasks: Mapping[str, Task], config: BalancingConfig, last_shared: tf.keras.layers.Layer) -> None:
        super().__init__(tasks)
        self._config = config
        self._last_shared = last_shared
        self.log_weights, self.first_losses = (
            self.add_weight(
                name=name, shape=[len(tasks)], initializer="zeros", trainable=False, aggregation=_FIRST_REPLICA
            )
            for name in ("log_weights", "first_losses")
        )

    def task_weights(self) -> dict[str, float | tf.Tensor]:
        """The configured weight times w by task."""
        weights = tf.unstack(tf.exp(self.log_weights))
        return {name: self.priorities[name] * weight for name, weight in zip(self.tasks, weights, strict=True)}

    def gradients(
        self,
        tape: tf.GradientTape,
        losses: Mapping[str, tf.Tensor],
        total: tf.Tensor,
        variables: Sequence[tf.Variable],
    ) -> list[Gradient]:
        """Those of the total at the present weights, which then make their step."""
        gradients = super().gradients(tape, losses, total, variables)
        weights = self._last_shared.trainable_variables
        norms = tf.norm(global_matrix([tape.gradient(losses[name], weights) for name in self.tasks]), axis=1)
        self._step(norms, global_sum(tf.stack([losses[name] for name in self.tasks])))
        return gradients

    def _step(self, norms: tf.Tensor, losses: tf.Tensor) -> None:
        """Norms of the plain losses' gradients and the losses, float [T], of the global batch."""
        first = tf.where(self.first_losses > 0, self.first_losses, losses)
        is_present = tf.cast(norms > 0, tf.float32)
        weighted = tf.exp(self.log_weights) * norms
        mean = _mean(weighted, is_present)
        ratio = losses / tf.maximum(first, _SMALLEST)
        target = mean * tf.math.divide_no_nan(ratio, _mean(ratio, is_present)) ** self._config.asymmetry
        slope = is_present * tf.math.divide_no_nan(weighted, mean) * tf.sign(weighted - target)
        logs = self.log_weights - self._config.learning_rate * slope
        self.first_losses.assign(first)
        self.log_weights.assign(logs - tf.reduce_logsumexp(logs) + tf.math.log(float(len(self.tasks))))


def _mean(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    return tf.math.divide_no_nan(tf.reduce_sum(values * weights), tf.reduce_sum(weights))
