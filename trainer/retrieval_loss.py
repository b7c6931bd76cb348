"""What the retrieval task adds to a step of training."""

import tensorflow as tf

from pipeline import layout
from pipeline.config.tasks import RetrievalTask
from trainer.items import BatchItems, CatalogueItems
from trainer.loss_sum import LossSum
from trainer.negatives import Negatives, NegativeSampler
from trainer.retrieval import retrieval_loss
from trainer.targets import RetrievalTargets, retrieval_targets
from trainer.towers.candidate import CandidateTower
from trainer.trend import TrendTable
from trainer.windows import Window


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
        targets = retrieval_targets(window, self._task, self._tower.size)
        query = tf.gather_nd(embedding, targets.place)
        negatives = self._trained_only(self._negatives(targets, query))
        trend = None
        if self._trend is not None:
            time = tf.gather_nd(window[layout.TIME], targets.place)
            # In the order of time, in which events near to each other share the trend's features.
            order = tf.argsort(time)
            targets = RetrievalTargets(*(tf.gather(values, order) for values in targets))
            time, query, blocked = (tf.gather(values, order) for values in (time, query, negatives.blocked))
            negatives = negatives._replace(blocked=blocked)
            query, weights = tf.split(query, [query.shape[1] - self._trend.width, self._trend.width], axis=1)
            others = None if isinstance(items, CatalogueItems) else negatives.item
            trend = self._trend.past_scores(time, weights, targets.item, others)
        loss = retrieval_loss(
            query=query,
            target_embeddings=items.embeddings(targets.item),
            negative_embeddings=self._embeddings(items, negatives, training),
            targets=targets,
            negatives=negatives,
            task=self._task,
            size=self._tower.size,
            trend=trend,
        )
        return LossSum(loss, tf.reduce_sum(targets.weight))

    def _trained_only(self, negatives: Negatives) -> Negatives:
        without_id = self._tower.without_id
        return negatives if without_id is None else without_id.is_missing.known_only(negatives)

    def _embeddings(self, items: BatchItems, negatives: Negatives, training: bool) -> tf.Tensor:
        return items.known() if isinstance(items, CatalogueItems) else self._tower.embed(negatives.item, training)
