"""The retrieval task: a softmax at every target position."""

import tensorflow as tf

from pipeline.config.tasks import RetrievalTask
from trainer.negatives import Negatives
from trainer.softmax import BLOCKED, log_sum_exp
from trainer.targets import RetrievalTargets


def retrieval_losses(
    query: tf.Tensor,
    target_embeddings: tf.Tensor,
    negative_embeddings: tf.Tensor,
    targets: RetrievalTargets,
    negatives: Negatives,
    task: RetrievalTask,
    size: int,
) -> tf.Tensor:
    """The cross-entropy of each position: the softmax runs over its targets and the negatives that are not blocked.

    Args:
        query: float [T, D + 1].
        target_embeddings: float [T, G, D + 1] of `targets.item`.
        negative_embeddings: float [N, D + 1] of `negatives.item`.
        targets, negatives: as named.
        task: label smoothing, towards the mean of all scores in the row's softmax.
        size: V.

    Returns:
        float [T]; 0 where no target has a weight.
    """
    own = tf.reduce_sum(target_embeddings * query[:, tf.newaxis], axis=-1)
    own += tf.where(targets.item < size, 0.0, BLOCKED)
    # The correction is one more factor of the product, so that it costs no pass over the scores.
    corrected = tf.concat([negative_embeddings, negatives.log_weight[:, tf.newaxis]], axis=1)
    others = log_sum_exp(tf.pad(query, [[0, 0], [0, 1]], constant_values=1), corrected, negatives.blocked)
    log_sum = tf.reduce_logsumexp(tf.concat([own, others[:, tf.newaxis]], axis=1), axis=1)
    has_target = tf.reduce_sum(targets.weight, axis=1)
    loss = has_target * log_sum - tf.reduce_sum(targets.weight * own, axis=1)
    if task.label_smoothing:
        mean = _mean_embedding(negative_embeddings, negatives)
        smooth = has_target * (log_sum - tf.reduce_sum(query * mean, axis=1))
        loss += task.label_smoothing * (smooth - loss)
    return loss


def _mean_embedding(embeddings: tf.Tensor, negatives: Negatives) -> tf.Tensor:
    """The weighted mean of the negatives' embeddings [N, D + 1] that are not blocked in each row: [T, D + 1].

    The sum over all less the few that are blocked: the mean of scores needs no scores. Zero where all are blocked.
    """
    rows, count = tf.shape(negatives.blocked, tf.int64)[0], tf.size(negatives.item, tf.int64)
    weight = tf.exp(negatives.log_weight)
    is_blocked = tf.where(negatives.blocked < count)
    column = tf.gather_nd(negatives.blocked, is_blocked)
    cells = tf.stack([is_blocked[:, 0], column], axis=1)
    blocked = tf.SparseTensor(cells, tf.gather(weight, column), tf.stack([rows, count]))
    kept = tf.linalg.matvec(embeddings, weight, transpose_a=True) - tf.sparse.sparse_dense_matmul(blocked, embeddings)
    share = tf.reduce_sum(weight) - tf.sparse.reduce_sum(blocked, axis=1)
    is_any = tf.math.unsorted_segment_sum(tf.ones_like(column), is_blocked[:, 0], rows) < count
    return tf.where(is_any[:, tf.newaxis], tf.math.divide_no_nan(kept, share[:, tf.newaxis]), 0)
