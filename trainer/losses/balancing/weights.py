"""The weights of the tasks' losses: fixed, by uncertainty, by dynamic weight average, or by GradNorm."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from config.tasks import RegressionTask, Task
from config.training import BalancingConfig
from trainer.distributed.collectives import global_sum
from trainer.losses.balancing.gradients import Gradient, global_matrix

_STATE = {"trainable": False, "initializer": "zeros", "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA}
_SMALLEST = 1e-6
"""The least first loss of GradNorm: a ratio to almost nothing would be infinite."""


class Balancing(tf.keras.layers.Layer):
    """The sum of the losses, each times its task's configured weight; the base of the other methods.

    Losses are each replica's share of the global batch's, and so are totals and gradients here: they are summed over
    the replicas. Weights are computed from global sums, the same on every replica. The state of a method is in its
    variables, which are saved with the model.

    Args:
        tasks: By name.
    """

    def __init__(self, tasks: Mapping[str, Task]) -> None:
        super().__init__(name="balancing")
        self.tasks = tuple(tasks)
        self.priorities = {name: task.weight for name, task in tasks.items()}

    def task_weights(self) -> dict[str, float | tf.Tensor]:
        """Returns the present factor of each task's loss, in [0, inf): the configured weight times `factors`."""
        factors = self.factors()
        if factors is None:
            return dict(self.priorities)
        return {name: self.priorities[name] * f for name, f in zip(self.tasks, tf.unstack(factors), strict=True)}

    def factors(self) -> tf.Tensor | None:
        """Returns the method's factor of each of the T tasks: float [T]; None: 1."""
        return None

    def total(self, losses: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Computes the loss that is minimised from scalar losses by task."""
        weights = self.task_weights()
        return tf.add_n([weights[name] * loss for name, loss in losses.items()])

    def gradients(
        self,
        tape: tf.GradientTape,
        losses: Mapping[str, tf.Tensor],
        total: tf.Tensor,
        variables: Sequence[tf.Variable],
    ) -> list[Gradient]:
        """Computes the step's gradients; called once a step, before the model's step is counted.

        Args:
            tape: Persistent; it has recorded the losses and the total.
            losses: Scalars by task.
            total: Of the losses.
            variables: The trained variables.
        """
        return tape.gradient(total, variables)

    def end_epoch(self, losses: Mapping[str, float]) -> None:
        """Takes an epoch's mean losses by task into account."""


class UncertaintyWeighting(Balancing):
    """The likelihood of all labels under each task's learned noise.

    Kendall, Gal and Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses for Scene Geometry and Semantics"
    (2018): a task with variance sigma^2 = exp(s) adds c exp(-s) loss + s / 2, where c is 1/2 for a squared error and 1
    for a cross-entropy. s starts at 0 and is learned with the model; a task without a target in a batch leaves it. The
    whole term is multiplied by the task's configured weight.
    """

    def __init__(self, tasks: Mapping[str, Task]) -> None:
        super().__init__(tasks)
        self._scales = tf.constant([0.5 if isinstance(task, RegressionTask) else 1.0 for task in tasks.values()])
        self.log_variance = self.add_weight(name="log_variance", shape=[len(tasks)], initializer="zeros")

    def factors(self) -> tf.Tensor:
        """Returns c exp(-s)."""
        return self._scales * tf.exp(-self.log_variance)

    def total(self, losses: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Sums the weighted losses and this replica's share of s / 2."""
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        penalties = [
            self.priorities[name] * tf.where(global_sum(losses[name]) > 0, log_variance / (2 * replicas), 0)
            for name, log_variance in zip(self.tasks, tf.unstack(self.log_variance), strict=True)
        ]
        return super().total(losses) + tf.add_n(penalties)


class DynamicWeightAverage(Balancing):
    """T softmax(r / temperature), where r is a task's mean loss of the last epoch over that of the one before.

    Liu, Johns and Davison, "End-to-End Multi-Task Learning with Attention" (2019). r is 1 until there are two epochs,
    and for a task without losses. The configured weights multiply it.

    Args:
        tasks: T of them, by name.
        temperature: The higher, the more equal the weights.
    """

    def __init__(self, tasks: Mapping[str, Task], temperature: float) -> None:
        super().__init__(tasks)
        self._temperature = temperature
        self.losses_before = self.add_weight(name="losses_before", shape=[2, len(tasks)], **_STATE)

    def factors(self) -> tf.Tensor:
        """Returns T softmax(r / temperature)."""
        last, before = tf.unstack(self.losses_before)
        ratio = tf.where((last > 0) & (before > 0), tf.math.divide_no_nan(last, before), 1)
        return len(self.tasks) * tf.nn.softmax(ratio / self._temperature)

    def end_epoch(self, losses: Mapping[str, float]) -> None:
        """Stores the losses as the last ones."""
        last = tf.constant([losses[name] for name in self.tasks], tf.float32)
        self.losses_before.assign(tf.stack([last, self.losses_before[0]]))


class GradNorm(Balancing):
    """Weights w learned so that w times the norm of a task's gradient is equal for all tasks.

    Chen et al., "GradNorm: Gradient Normalization for Adaptive Loss Balancing in Deep Multitask Networks" (2018). With
    G the weighted norms at the last layer that all tasks share, and r the tasks' loss ratios loss / first loss over
    their mean, each step descends sum |G - mean(G) r^alpha|, the mean taken as a constant, and scales the weights back
    to their sum T. The descent is on log w and in units of mean(G): weights stay positive, and the learning rate does
    not depend on the size of the losses. A task without a target in a batch takes no part in its step.

    The weights are learned for the plain losses; the configured ones multiply them.

    Args:
        tasks: T of them, by name.
        config: alpha (`asymmetry`) and the learning rate.
        last_shared: The layer at whose weights the norms are taken.
    """

    def __init__(self, tasks: Mapping[str, Task], config: BalancingConfig, last_shared: tf.keras.layers.Layer) -> None:
        super().__init__(tasks)
        self._config = config
        self._last_shared = last_shared
        self.log_weights = self.add_weight(name="log_weights", shape=[len(tasks)], **_STATE)
        self.first_losses = self.add_weight(name="first_losses", shape=[len(tasks)], **_STATE)

    def factors(self) -> tf.Tensor:
        """Returns w."""
        return tf.exp(self.log_weights)

    def gradients(
        self,
        tape: tf.GradientTape,
        losses: Mapping[str, tf.Tensor],
        total: tf.Tensor,
        variables: Sequence[tf.Variable],
    ) -> list[Gradient]:
        """Computes those of the total at the present weights, then updates the weights."""
        gradients = super().gradients(tape, losses, total, variables)
        weights = self._last_shared.trainable_variables
        norms = tf.norm(global_matrix([tape.gradient(losses[name], weights) for name in self.tasks]), axis=1)
        self._update(norms, global_sum(tf.stack([losses[name] for name in self.tasks])))
        return gradients

    def _update(self, norms: tf.Tensor, losses: tf.Tensor) -> None:
        """Updates w by the norms of the plain losses' gradients and the losses, float [T], of the global batch."""
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
