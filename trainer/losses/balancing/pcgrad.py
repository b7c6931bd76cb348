"""Projects the conflicting parts out of the tasks' gradients (PCGrad)."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from config.tasks import Task
from trainer.distributed.randomness import Randomness
from trainer.losses.balancing.gradients import Gradient, global_matrix, shared_dense, weighted_sum
from trainer.losses.balancing.weights import Balancing


class GradientSurgery(Balancing):
    """Each task's gradient loses the part that points against another task's.

    Yu et al., "Gradient Surgery for Multi-Task Learning" (2020), on the weighted losses: where g_i . g_j < 0, g_i
    becomes g_i - (g_i . g_j / |g_j|^2) g_j. The surgery is on the shared parameters with dense gradients, taken as one
    vector; embeddings and each task's own parameters get the plain sum. The global batch's gradient is projected: the
    result is a linear combination of the tasks' gradients whose coefficients follow from their inner products, so each
    replica combines its shares by the same coefficients.

    Args:
        tasks: By name.
        randomness: Of the order in which a gradient is projected.
    """

    def __init__(self, tasks: Mapping[str, Task], randomness: Randomness) -> None:
        super().__init__(tasks)
        self._randomness = randomness
        self._site = randomness.new_site()

    def gradients(
        self,
        tape: tf.GradientTape,
        losses: Mapping[str, tf.Tensor],
        total: tf.Tensor,
        variables: Sequence[tf.Variable],
    ) -> list[Gradient]:
        """Sums the tasks' gradients after surgery: one backward pass for each task, none for the total."""
        by_task = [tape.gradient(losses[name], variables) for name in self.tasks]
        weights = tf.constant([self.priorities[name] for name in self.tasks])
        shared = shared_dense(by_task)
        matrix = weights[:, tf.newaxis] * global_matrix([[gradients[i] for i in shared] for gradients in by_task])
        products = tf.matmul(matrix, matrix, transpose_b=True)
        repaired = weights * tf.reduce_sum(surgery(products, self._orders()), axis=0)
        return [
            weighted_sum(gradients, repaired if position in shared else weights)
            for position, gradients in enumerate(zip(*by_task, strict=True))
        ]

    def _orders(self) -> tf.Tensor:
        count = len(self.tasks)
        return tf.argsort(tf.random.stateless_uniform([count, count], self._randomness.global_seed(self._site)))


def surgery(products: tf.Tensor, orders: tf.Tensor) -> tf.Tensor:
    """Projects every gradient, one after the other, off each original one that it still conflicts with.

    Example:
        For gradients (1, 0) and (-1, 1), products are [[1, -1], [-1, 2]]. The first becomes (1, 0) + 1/2 (-1, 1), the
        second (-1, 1) + 1 (1, 0): the result is [[1, 1/2], [1, 1]].

    Args:
        products: float [T, T], the gradients' inner products.
        orders: int32 [T, T], row t: the order in which gradient t is projected off the others; itself is skipped.

    Returns:
        float [T, T]: row t holds the coefficients of gradient t after surgery.
    """
    count = tf.shape(products)[0]
    rows = tf.eye(count)
    for others in tf.unstack(orders, axis=1):
        product = tf.reduce_sum(rows * tf.gather(products, others), axis=1)
        conflict = tf.where(others == tf.range(count), 0.0, tf.minimum(product, 0))
        share = tf.math.divide_no_nan(conflict, tf.gather(tf.linalg.diag_part(products), others))
        rows -= share[:, tf.newaxis] * tf.one_hot(others, count)
    return rows
