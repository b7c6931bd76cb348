"""Gradients of embedding tables that know few of the rows."""

from collections.abc import Iterable, Sequence

import tensorflow as tf

from trainer.balancing.gradients import Gradient


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
    rows, place = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, place, tf.size(rows))
    return tf.IndexedSlices(values, rows, gradient.dense_shape)
