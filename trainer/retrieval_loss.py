"""What the retrieval task adds to a step of training."""

from typing import NamedTuple

import tensorflow as tf

from pipeline import layout
from pipeline.config.tasks import RetrievalTask
from trainer.items import BatchItems, CatalogueItems
from trainer.loss_sum import LossSum
from trainer.negatives import Negatives, NegativeSampler
from trainer.retrieval import retrieval_loss
from trainer.targets import RetrievalTargets, retrieval_targets
from trainer.towers.candidate import CandidateTower
from trainer.trend import PastScores, TrendTable
from trainer.windows import Window


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
        query = tf.gather_nd(embedding, targets.place)
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
    time = tf.gather_nd(window[layout.TIME], asked.targets.place)
    order = tf.argsort(time)
    query, blocked = tf.gather(asked.query, order), tf.gather(asked.negatives.blocked, order)
    targets = RetrievalTargets(*(tf.gather(values, order) for values in asked.targets))
    query, weights = tf.split(query, [query.shape[1] - trend.width, trend.width], axis=1)
    others = None if is_whole else asked.negatives.item
    scores = trend.past_scores(tf.gather(time, order), weights, targets.item, others)
    return _Questions(query, targets, asked.negatives._replace(blocked=blocked)), scores
