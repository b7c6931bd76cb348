"""One replica's part of a training step: losses, their gradients, and the optimizer's update."""

from collections.abc import Iterable, Sequence

import tensorflow as tf

from trainer.data.windows import Window
from trainer.losses.balancing.gradients import Gradient, weighted_sum
from trainer.model.generator import LOSS as GENERATION
from trainer.model.recommender import RecommenderModel
from trainer.training.averaging import WeightAverage
from trainer.training.distillation import LOSS as DISTILLATION
from trainer.training.distillation import Distillation
from trainer.training.precision import LossScale


class ReplicaStep:
    """Updates a model's weights by the gradients of a window batch; run it on every replica.

    Args:
        model: The model.
        optimizer: Of the model's trainable variables.
        distillation: The losses of a student. None: there is no teacher.
        loss_scale: Of training in float16. None: losses are not scaled.
        is_lazy: Whether the optimizer updates the touched rows of tables only, and so has to see their gradients as
            `row_sums` even where every step embeds every item.
        average: Of the weights.
    """

    def __init__(
        self,
        model: RecommenderModel,
        optimizer: tf.keras.optimizers.Optimizer,
        distillation: Distillation | None,
        loss_scale: LossScale | None,
        is_lazy: bool = False,
        average: WeightAverage | None = None,
    ) -> None:
        self._model = model
        self._optimizer = optimizer
        self._distillation = distillation
        self._loss_scale = loss_scale
        self._is_dense = model.reads_whole_catalogue and not is_lazy
        self._average = average

    def __call__(self, window: Window) -> dict[str, tf.Tensor]:
        """Runs one step on this replica's part [B, L] of the global batch: returns its share of every loss, by name."""
        model, variables = self._model, self._model.trainable_variables
        scaled = (lambda loss: loss) if self._loss_scale is None else self._loss_scale.scaled
        with tf.GradientTape(persistent=True) as tape:
            total, losses = model.compute_loss(window, training=True)
            # Minimised too, and not balanced with the tasks' losses.
            others = model.generation_losses() | (self._distillation.losses(window) if self._distillation else {})
            scaled_losses = {name: scaled(loss) for name, loss in losses.items()}
            # Not the total of the scaled losses: a balancing may add terms of its own.
            scaled_total = scaled(total)
            scaled_others = [scaled(others[name]) for name in (GENERATION, DISTILLATION) if name in others]
        gradients = model.balancing.gradients(tape, scaled_losses, scaled_total, variables)
        for loss in scaled_others:
            pairs = zip(gradients, tape.gradient(loss, variables), strict=True)
            gradients = [weighted_sum(pair, tf.ones([2])) for pair in pairs]
        if self._loss_scale is not None:
            gradients = self._loss_scale.unscaled(gradients)
        gradients = dense(gradients) if self._is_dense else row_sums(gradients)
        if self._average is not None:
            self._average.before(gradients)
        pairs = zip(gradients, variables, strict=True)
        self._optimizer.apply_gradients(pairs, experimental_aggregate_gradients=self._is_dense)
        return losses | others


def dense(gradients: Iterable[Gradient]) -> list[tf.Tensor | None]:
    """Returns each gradient as one tensor of its variable's shape.

    Keras clips a gradient before it adds up repeated rows, which makes its norm depend on how they are listed: it
    should not see gradients with repeated rows.
    """
    return [gradient if gradient is None else tf.convert_to_tensor(gradient) for gradient in gradients]


def row_sums(gradients: Sequence[Gradient]) -> list[Gradient]:
    """Sums the gradients over the replicas, with every row of a table at most once: where tables are too large for
    `dense`.

    The rows are added up after the replicas are, since two replicas may have the same row, and before anything is
    clipped. An optimizer then does the same to a table as with the dense gradient, to rounding: tf_keras' Adam updates
    the moments and weights of all rows without a gradient too, in passes over the whole table. Those of
    `trainer.training.lazy`, Adagrad and plain gradient descent touch the listed rows only.

    Called inside a replica's context.
    """
    present = [gradient for gradient in gradients if gradient is not None]
    total = iter(tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, present))
    return [None if gradient is None else _rows_once(next(total)) for gradient in gradients]


def _rows_once(gradient: tf.Tensor | tf.IndexedSlices) -> tf.Tensor | tf.IndexedSlices:
    """Adds up repeated rows: rows [4, 2, 4] of values a, b, c become rows [4, 2] of a + c, b."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    rows, position = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, position, tf.size(rows))
    return tf.IndexedSlices(values, rows, gradient.dense_shape)
