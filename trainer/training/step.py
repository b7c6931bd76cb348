"""One replica's part of a training step: losses, their gradients, and the optimizer's move."""

from collections.abc import Iterable, Sequence

import tensorflow as tf

from trainer.data.windows import Window
from trainer.losses.balancing.gradients import Gradient, weighted_sum
from trainer.model.generator.adversary import LOSS as GENERATION
from trainer.model.recommender import RecommenderModel
from trainer.training.distillation import LOSS as DISTILLATION
from trainer.training.distillation import Distillation
from trainer.training.precision import LossScale


def dense(gradients: Iterable[Gradient]) -> list[tf.Tensor | None]:
    """Each gradient as one tensor of its variable's shape.

    Keras clips a gradient before it adds up repeated rows, which makes its norm depend on how they are listed: a
    gradient of repeated rows should not reach it.
    """
    return [gradient if gradient is None else tf.convert_to_tensor(gradient) for gradient in gradients]


def row_sums(gradients: Sequence[Gradient]) -> list[Gradient]:
    """The gradients summed over the replicas, with every row of a table at most once: for tables that are too large
    for `dense`.

    The rows are added up after the replicas are, since two replicas may know the same row, and before anything is
    clipped. An optimizer then does the same to a table as with the dense gradient, to rounding: Adam's moments
    fall and its rows move on without a gradient too, in passes over the whole table that no sparse form can
    leave out; Adagrad and plain gradient descent touch the listed rows only.

    Called inside a replica's context.
    """
    present = [gradient for gradient in gradients if gradient is not None]
    total = iter(tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, present))
    return [None if gradient is None else _rows_once(next(total)) for gradient in gradients]


def _rows_once(gradient: tf.Tensor | tf.IndexedSlices) -> tf.Tensor | tf.IndexedSlices:
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    rows, position = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, position, tf.size(rows))
    return tf.IndexedSlices(values, rows, gradient.dense_shape)


_NOT_BALANCED = (GENERATION, DISTILLATION)


class ReplicaStep:
    """Moves a model's weights by the gradients of a window batch; to be run on every replica.

    Args:
        model: whose losses are minimised.
        optimizer: of the model's trainable variables.
        distillation: the losses of a student. None: there is no teacher.
        loss_scale: of training in float16. None: losses are taken as they are.
    """

    def __init__(
        self,
        model: RecommenderModel,
        optimizer: tf.keras.optimizers.Optimizer,
        distillation: Distillation | None,
        loss_scale: LossScale | None,
    ) -> None:
        self._model = model
        self._optimizer = optimizer
        self._distillation = distillation
        self._loss_scale = loss_scale

    def __call__(self, window: Window) -> dict[str, tf.Tensor]:
        """One step on this replica's part [B, L] of the global batch: its share of every loss, by name."""
        with tf.GradientTape(persistent=True) as tape:
            total, losses = self._model.compute_loss(window, training=True)
            beside = self._losses_beside(window)
            scaled = {name: self._scaled(loss) for name, loss in losses.items()}
            # Not of the scaled losses: a balancing may add terms of its own.
            total = self._scaled(total)
            added = [self._scaled(beside[name]) for name in _NOT_BALANCED if name in beside]
        gradients = self._model.balancing.gradients(tape, scaled, total, self._model.trainable_variables)
        for loss in added:
            gradients = _sums(gradients, tape.gradient(loss, self._model.trainable_variables))
        self._apply(gradients if self._loss_scale is None else self._loss_scale.unscaled(gradients))
        return losses | beside

    def _losses_beside(self, window: Window) -> dict[str, tf.Tensor]:
        """What is minimised beside the tasks' losses, and not balanced with them."""
        distillation = self._distillation.losses(window) if self._distillation else {}
        return self._model.generation_losses() | distillation

    def _scaled(self, loss: tf.Tensor) -> tf.Tensor:
        return loss if self._loss_scale is None else self._loss_scale.scaled(loss)

    def _apply(self, gradients: list[Gradient]) -> None:
        is_dense = self._model.reads_whole_catalogue
        gradients = dense(gradients) if is_dense else row_sums(gradients)
        pairs = zip(gradients, self._model.trainable_variables, strict=True)
        self._optimizer.apply_gradients(pairs, experimental_aggregate_gradients=is_dense)


def _sums(gradients: list[Gradient], others: list[Gradient]) -> list[Gradient]:
    return [weighted_sum(pair, tf.ones([2])) for pair in zip(gradients, others, strict=True)]
