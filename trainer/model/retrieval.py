"""The retrieval task: a softmax at every target position."""

from typing import NamedTuple

import tensorflow as tf

from config import feature_names
from config.tasks import RetrievalTask
from trainer.data.windows import Window
from trainer.losses.loss_sum import LossSum
from trainer.losses.negatives import Negatives, NegativeSampler
from trainer.losses.softmax import BLOCKED, Choices, OwnFeatures, weighted_log_sum
from trainer.losses.targets import RetrievalTargets, retrieval_targets
from trainer.model.candidate_tower import BatchItems, CandidateTower, CatalogueItems
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
    log_sums = weighted_log_sum(longer_query, choices, has_target, own_features)
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


class _Questions(NamedTuple):
    """What is asked at T positions: the queries float [T, D + 1 + W], what should be found, and what should not."""

    query: tf.Tensor
    targets: RetrievalTargets
    negatives: Negatives


class RetrievalLoss:
    """The softmax of a batch of windows, over the catalogue or a sample of it.

    Args:
        task: what the positions are trained with.
        tower: embeds the V items.
        negatives: what targets are compared with.
        trend: a part of the scores as of each event's time; None: there is none.
    """

    def __init__(
        self, task: RetrievalTask, tower: CandidateTower, negatives: NegativeSampler, trend: TrendTable | None
    ) -> None:
        self._task = task
        self._tower = tower
        self._negatives = negatives
        self._trend = trend

    def sum(self, window: Window, embedding: tf.Tensor, items: BatchItems, training: bool) -> LossSum:
        """The window batch [B, L], its queries float [B, L, D + 1 + W] and its items -> the sums over its targets."""
        asked = self._questions(window, embedding)
        trend = None
        if self._trend is not None:
            asked, trend = _as_of(window, asked, self._trend, isinstance(items, CatalogueItems))
        loss = retrieval_loss(
            query=asked.query,
            target_embeddings=items.embeddings(asked.targets.item),
            negative_embeddings=self._embeddings(items, asked.negatives, training),
            targets=asked.targets,
            negatives=asked.negatives,
            task=self._task,
            size=self._tower.size,
            trend=trend,
        )
        return LossSum(loss, tf.reduce_sum(asked.targets.weight))

    def _questions(self, window: Window, embedding: tf.Tensor) -> _Questions:
        targets = retrieval_targets(window, self._task, self._tower.size)
        query = tf.gather_nd(embedding, targets.index)
        return _Questions(query, targets, self._trained_only(self._negatives(targets, query)))

    def _trained_only(self, negatives: Negatives) -> Negatives:
        without_id = self._tower.without_id
        return negatives if without_id is None else without_id.is_missing.known_only(negatives)

    def _embeddings(self, items: BatchItems, negatives: Negatives, training: bool) -> tf.Tensor:
        return items.known() if isinstance(items, CatalogueItems) else self._tower.embed(negatives.item, training)


def _as_of(window: Window, asked: _Questions, trend: TrendTable, is_whole: bool) -> tuple[_Questions, PastScores]:
    """The questions without the queries' weights of the trend, and its scores as of the time of each.

    Both in the order of time: events near to each other share the trend's features. `is_whole`: the negatives are the
    catalogue.
    """
    time = tf.gather_nd(window[feature_names.TIME], asked.targets.index)
    order = tf.argsort(time)
    query, blocked = tf.gather(asked.query, order), tf.gather(asked.negatives.blocked, order)
    targets = RetrievalTargets(*(tf.gather(values, order) for values in asked.targets))
    query, weights = tf.split(query, [query.shape[1] - trend.width, trend.width], axis=1)
    others = None if is_whole else asked.negatives.item
    scores = trend.past_scores(tf.gather(time, order), weights, targets.item, others)
    return _Questions(query, targets, asked.negatives._replace(blocked=blocked)), scores
