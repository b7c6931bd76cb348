"""The retrieval task: a softmax at every target position."""

import tensorflow as tf

from pipeline.config.tasks import RetrievalTask
from trainer.negatives import Negatives
from trainer.softmax import BLOCKED, Choices, OwnFeatures, weighed_log_sum
from trainer.targets import RetrievalTargets
from trainer.trend import PastScores


def retrieval_loss(
    query: tf.Tensor,
    target_embeddings: tf.Tensor,
    negative_embeddings: tf.Tensor,
    targets: RetrievalTargets,
    negatives: Negatives,
    task: RetrievalTask,
    size: int,
    trend: PastScores | None = None,
) -> tf.Tensor:
    """The sum of the positions' cross-entropies: the softmax runs over a position's targets and the negatives that are
    not blocked.

    Args:
        query: float [T, D + 1].
        target_embeddings: float [T, G, D + 1] of `targets.item`.
        negative_embeddings: float [N, D + 1] of `negatives.item`.
        targets, negatives: as named.
        task: label smoothing, towards the mean of all scores in the row's softmax.
        size: V.
        trend: what the scores get besides.

    Returns:
        float scalar; a position where no target has a weight adds nothing.
    """
    own = tf.reduce_sum(target_embeddings * query[:, tf.newaxis], axis=-1)
    if trend is not None:
        own += trend.target
    own += tf.where(targets.item < size, 0.0, BLOCKED)
    # The correction is one more factor of the product, so that it costs no pass over the scores.
    corrected = tf.concat([negative_embeddings, negatives.log_weight[:, tf.newaxis]], axis=1)
    choices = Choices(own, corrected, negatives.blocked)
    has_target = tf.reduce_sum(targets.weight, axis=1)
    own_features = None if trend is None else trend.negatives
    longer_query = tf.pad(query, [[0, 0], [0, 1]], constant_values=1)
    log_sums = weighed_log_sum(longer_query, choices, has_target, own_features)
    loss = log_sums - tf.reduce_sum(targets.weight * own)
    if task.label_smoothing:
        means = _mean_scores(query, negative_embeddings, negatives, own_features)
        smooth = log_sums - tf.reduce_sum(has_target * means)
        loss += task.label_smoothing * (smooth - loss)
    return loss


def _mean_scores(query: tf.Tensor, embeddings: tf.Tensor, negatives: Negatives, own: OwnFeatures | None) -> tf.Tensor:
    """The weighted mean of each row's scores over the negatives that are not blocked, float [T]; 0 where all are.

    The sum over all less that over the few that are blocked: the mean needs no scores of the others.
    """
    rows, count = tf.shape(negatives.blocked, tf.int64)[0], tf.size(negatives.item, tf.int64)
    weight = tf.exp(negatives.log_weight)
    is_blocked = tf.where(negatives.blocked < count)
    row, column = is_blocked[:, 0], tf.gather_nd(negatives.blocked, is_blocked)
    blocked = tf.SparseTensor(tf.stack([row, column], axis=1), tf.gather(weight, column), tf.stack([rows, count]))
    kept = tf.linalg.matvec(embeddings, weight, transpose_a=True) - tf.sparse.sparse_dense_matmul(blocked, embeddings)
    total = tf.reduce_sum(query * kept, axis=1)
    if own is not None:
        total += tf.reduce_sum(own.weights * _kept_features(own, weight, blocked), axis=1)
    share = tf.reduce_sum(weight) - tf.sparse.reduce_sum(blocked, axis=1)
    is_any = tf.math.unsorted_segment_sum(tf.ones_like(column), row, rows) < count
    return tf.where(is_any, tf.math.divide_no_nan(total, share), 0)


def _kept_features(own: OwnFeatures, weight: tf.Tensor, blocked: tf.SparseTensor) -> tf.Tensor:
    """The weighted sum of each row's features over the negatives that are not blocked, float [T, W]."""
    features, moment = own.moments.of_rows(0, blocked.dense_shape[0])
    total = tf.gather(tf.linalg.matvec(features, weight), moment)
    row, column = tf.unstack(blocked.indices, axis=1)
    cells = tf.stack([tf.gather(moment, row), column], axis=1)
    left_out = tf.gather_nd(tf.transpose(features, [0, 2, 1]), cells) * blocked.values[:, tf.newaxis]
    return total - tf.math.unsorted_segment_sum(left_out, row, blocked.dense_shape[0])
