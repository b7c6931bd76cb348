"""The gradients of each task, and how they conflict."""

from collections.abc import Sequence
from typing import TypeAlias

import tensorflow as tf

from trainer.distributed.collectives import global_sum

Gradient: TypeAlias = tf.Tensor | tf.IndexedSlices | None
"""Of a variable; None where the loss does not depend on it."""


def shared_dense(by_task: Sequence[Sequence[Gradient]]) -> list[int]:
    """Finds the positions of the variables that two tasks or more share and whose gradient is dense.

    An embedding table has a sparse one: two tasks seldom share its rows, and it has most of the weights.

    Args:
        by_task: Gradients of the same variables for each task.
    """
    shared = []
    for position, gradients in enumerate(zip(*by_task, strict=True)):
        found = [g for g in gradients if g is not None]
        if len(found) > 1 and not any(isinstance(g, tf.IndexedSlices) for g in found):
            shared.append(position)
    return shared


def global_matrix(by_task: Sequence[Sequence[Gradient]]) -> tf.Tensor:
    """Concatenates each task's gradient of the global batch to one vector: float [T, P], the same on every replica.

    Args:
        by_task: Dense gradients of the same variables, this replica's share.
    """
    columns = [tf.zeros([len(by_task), 0])]
    for gradients in zip(*by_task, strict=True):
        like = next(g for g in gradients if g is not None)
        columns.append(tf.stack([tf.reshape(tf.zeros_like(like) if g is None else g, [-1]) for g in gradients]))
    return global_sum(tf.concat(columns, axis=1))


def cosines(matrix: tf.Tensor) -> tf.Tensor:
    """Computes the cosines between the rows of float [T, P]: float [T, T]; 0 with a row of zeros."""
    norms = tf.norm(matrix, axis=1)
    return tf.math.divide_no_nan(tf.matmul(matrix, matrix, transpose_b=True), norms[:, tf.newaxis] * norms)


def weighted_sum(gradients: Sequence[Gradient], weights: tf.Tensor) -> Gradient:
    """Sums one variable's gradients, each times its weight in float [T]; sparse where all are."""
    parts = [(g, w) for g, w in zip(gradients, tf.unstack(weights), strict=True) if g is not None]
    if not parts:
        return None
    if all(isinstance(g, tf.IndexedSlices) for g, _ in parts):
        values = tf.concat([g.values * w for g, w in parts], axis=0)
        return tf.IndexedSlices(values, tf.concat([g.indices for g, _ in parts], axis=0), parts[0][0].dense_shape)
    return tf.add_n([tf.convert_to_tensor(g) * w for g, w in parts])
