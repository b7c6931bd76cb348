"""What every way of balancing has; by itself, fixed weights."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from config.tasks import Task
from trainer.losses.balancing.gradients import Gradient


class Balancing(tf.keras.layers.Layer):
    """The sum of the losses, each times its task's configured weight.

    Losses are each replica's share of the global batch's, and so are totals and gradients here: they are to be summed
    over the replicas. Weights are made of what is summed already, and the same on every replica. What a method keeps
    from step to step is in its variables, which are saved with the model.

    Args:
        tasks: by name.
    """

    def __init__(self, tasks: Mapping[str, Task]) -> None:
        super().__init__(name="balancing")
        self.tasks = tuple(tasks)
        self.priorities = {name: task.weight for name, task in tasks.items()}

    def task_weights(self) -> dict[str, float | tf.Tensor]:
        """The factor of each task's loss now, in [0, inf)."""
        return dict(self.priorities)

    def total(self, losses: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """What is minimised: scalar losses by task -> scalar."""
        weights = self.task_weights()
        return tf.add_n([weights[name] * loss for name, loss in losses.items()])

    def gradients(
        self,
        tape: tf.GradientTape,
        losses: Mapping[str, tf.Tensor],
        total: tf.Tensor,
        variables: Sequence[tf.Variable],
    ) -> list[Gradient]:
        """The step's gradients; called once a step, with the model's step not yet counted.

        Args:
            tape: persistent; it has seen the losses and the total.
            losses: scalars by task.
            total: of the losses.
            variables: what is learned.
        """
        return tape.gradient(total, variables)

    def end_epoch(self, losses: Mapping[str, float]) -> None:
        """Takes note of an epoch's mean losses by task."""
