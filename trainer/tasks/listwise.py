"""Scores that order the items of a list by their labels."""

import tensorflow as tf

from pipeline import layout
from pipeline.config.tasks import ListwiseTask
from trainer.tasks.head import LabelStatistics, RankingHead
from trainer.tasks.targets import Targets, list_targets
from trainer.windows import Window

_ABSENT = -1e9
"""The score of what is in no list: its softmax is 0."""


class ListwiseHead(RankingHead):
    """Trained with lists of events by a softmax over their scores (Cao et al., 2007).

    Args: see `RankingHead`.
    """

    def __init__(self, name: str, task: ListwiseTask, item_count: int, statistics: LabelStatistics) -> None:
        super().__init__(name, task, item_count, statistics)
        self._task = task

    @property
    def span(self) -> int:
        """The length of a list."""
        return self._task.length

    def targets(self, window: Window) -> Targets:
        """Lists of events, from the newest backwards."""
        if self._task.loss == "softmax":
            name = layout.label(self.name)
            window = {**window, name: tf.nn.relu(window[name])}
        return list_targets(window, self.name, self._task.length, self._task.session is not None)

    def losses_of(self, output: tf.Tensor, targets: Targets) -> tf.Tensor:
        """The cross-entropy of the scores' softmax with the labels' shares: float [T, N] -> float [T]."""
        scores = tf.where(targets.is_member, output, _ABSENT)
        shares = self._shares(targets)
        log_sum = tf.reduce_logsumexp(scores, axis=1)
        return log_sum - tf.reduce_sum(shares * tf.where(targets.is_member, output, 0), axis=1)

    def _shares(self, targets: Targets) -> tf.Tensor:
        """float [T, N], each row's sum 1."""
        if self._task.loss == "listnet":
            label = targets.label / self._statistics.deviation
            return tf.nn.softmax(tf.where(targets.is_member, label, _ABSENT))
        gain = tf.where(targets.is_member, targets.label, 0)
        return tf.math.divide_no_nan(gain, tf.reduce_sum(gain, axis=1, keepdims=True))
