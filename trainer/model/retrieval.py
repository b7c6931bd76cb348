"""The retrieval task: a softmax at every target position."""

from typing import NamedTuple

import tensorflow as tf

from config import feature_names
from config.tasks import RetrievalTask
from trainer.data.windows import Window
from trainer.losses.negatives import Negatives, NegativeSampler
from trainer.losses.softmax import BLOCKED, Choices, OwnFeatures, weighted_log_sum
from trainer.losses.targets import LossSum, RetrievalTargets, retrieval_targets
from trainer.model.candidate_tower import BatchItems, CandidateTower
from trainer.model.popularity import PastScores, TrendTable


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
    """Sums the positions' cross-entropies; each softmax runs over the targets and the negatives that are not blocked.

    With targets g of weights w_g, the loss of a position is sum_g w_g (log Z - s_g); with label smoothing e it is
    (1 - e) times that plus e (log Z - mean of the negatives' scores).

    Args:
        query: float [T, D + 1].
        target_embeddings: float [T, G, D + 1] of `targets.item`.
        negative_embeddings: float [N, D + 1] of `negatives.item`.
        targets: Of the T positions.
        negatives: N items.
        task: Configures the label smoothing.
        size: V.
        trend: Added to the scores.

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
    log_sums = weighted_log_sum(longer_query, choices, has_target, own_features)
    loss = log_sums - tf.reduce_sum(targets.weight * own)
    if task.label_smoothing:
        means = _mean_scores(query, negative_embeddings, negatives, own_features)
        smooth = log_sums - tf.reduce_sum(has_target * means)
        loss += task.label_smoothing * (smooth - loss)
    return loss


def _mean_scores(query: tf.Tensor, embeddings: tf.Tensor, negatives: Negatives, own: OwnFeatures | None) -> tf.Tensor:
    """Computes the weighted mean of each row's scores over the negatives that are not blocked: float [T]; 0 for none.

    A sum of products is the product with a sum: sum_i w_i (q . c_i) = q . (sum_i w_i c_i - sum over the blocked ones),
    which needs no T x N scores.
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
    """Computes the weighted sum of each row's features over the negatives that are not blocked: float [T, W]."""
    features, moment = own.moments.of_rows(0, blocked.dense_shape[0])
    total = tf.gather(tf.linalg.matvec(features, weight), moment)
    row, column = tf.unstack(blocked.indices, axis=1)
    cells = tf.stack([tf.gather(moment, row), column], axis=1)
    left_out = tf.gather_nd(tf.transpose(features, [0, 2, 1]), cells) * blocked.values[:, tf.newaxis]
    return total - tf.math.unsorted_segment_sum(left_out, row, blocked.dense_shape[0])


class _Positions(NamedTuple):
    """The T positions of a batch: queries float [T, D + 1 + W], targets and negatives."""

    query: tf.Tensor
    targets: RetrievalTargets
    negatives: Negatives


class RetrievalLoss:
    """The softmax loss of a batch of windows, over the catalogue or a sample of it.

    Args:
        task: The task.
        tower: Embeds the V items.
        negatives: The sampler.
        trend: The part of the scores as of each event's time; None without one.
    """

    def __init__(
        self, task: RetrievalTask, tower: CandidateTower, negatives: NegativeSampler, trend: TrendTable | None
    ) -> None:
        self._task = task
        self._tower = tower
        self._negatives = negatives
        self._trend = trend

    def sum(self, window: Window, embedding: tf.Tensor, items: BatchItems, training: bool) -> LossSum:
        """Sums the losses over the targets of a batch.

        Args:
            window: [B, L].
            embedding: float [B, L, D + 1 + W], the queries.
            items: The batch's items.
            training: Whether some items lose their ids.
        """
        targets = retrieval_targets(window, self._task, self._tower.size)
        query = tf.gather_nd(embedding, targets.index)
        negatives = self._negatives(targets, query)
        if self._tower.without_id is not None:
            negatives = self._tower.without_id.is_missing.known_only(negatives)
        trend = None
        if self._trend is not None:
            positions = _Positions(query, targets, negatives)
            (query, targets, negatives), trend = _as_of(window, positions, self._trend, items.is_catalogue)
        if items.is_catalogue:
            negative_embeddings = items.catalogue_embeddings()
        else:
            negative_embeddings = self._tower.embed(negatives.item, training)
        loss = retrieval_loss(
            query=query,
            target_embeddings=items.embeddings(targets.item),
            negative_embeddings=negative_embeddings,
            targets=targets,
            negatives=negatives,
            task=self._task,
            size=self._tower.size,
            trend=trend,
        )
        return LossSum(loss, tf.reduce_sum(targets.weight))


def _as_of(window: Window, positions: _Positions, trend: TrendTable, is_whole: bool) -> tuple[_Positions, PastScores]:
    """Splits the trend weights off the queries and computes the trend's scores as of each position's time.

    Both are sorted by time: the rows of a block of the softmax then share the trend's features.

    Args:
        window: [B, L].
        positions: T positions.
        trend: The trend.
        is_whole: Whether the negatives are the catalogue.
    """
    time = tf.gather_nd(window[feature_names.TIME], positions.targets.index)
    order = tf.argsort(time)
    query, blocked = tf.gather(positions.query, order), tf.gather(positions.negatives.blocked, order)
    targets = RetrievalTargets(*(tf.gather(values, order) for values in positions.targets))
    query, weights = tf.split(query, [query.shape[1] - trend.width, trend.width], axis=1)
    others = None if is_whole else positions.negatives.item
    scores = trend.past_scores(tf.gather(time, order), weights, targets.item, others)
    return _Positions(query, targets, positions.negatives._replace(blocked=blocked)), scores
