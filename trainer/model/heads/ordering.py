"""Scores that order the items of two events by their labels."""

import tensorflow as tf

from config import feature_names
from config.tasks import ListwiseTask, PairwiseTask
from trainer.data.batching import LabelStatistics
from trainer.data.windows import Window
from trainer.model.heads.base import RankingHead
from trainer.model.heads.targets import Targets, list_targets, pair_targets


class PairwiseHead(RankingHead):
    """Trained with pairs of events: BPR (Rendle et al., 2009) or the hinge of RankSVM (Joachims, 2002).

    Args: see `RankingHead`.
    """

    def __init__(self, name: str, task: PairwiseTask, item_count: int, statistics: LabelStatistics) -> None:
        super().__init__(name, task, item_count, statistics)
        self._task = task

    @property
    def span(self) -> int:
        """The earlier event of a pair and those that it may be paired with."""
        return self._task.within + 1

    def targets(self, window: Window) -> Targets:
        """Pairs of events near to each other."""
        return pair_targets(window, self.name, self._task.within)

    def losses_of(self, output: tf.Tensor, targets: Targets) -> tf.Tensor:
        """Of the higher label's score minus the lower one's: float [T, 2] -> float [T]."""
        order = tf.sign(targets.label[:, 0] - targets.label[:, 1])
        difference = order * (output[:, 0] - output[:, 1])
        if self._task.loss == "hinge":
            return tf.nn.relu(self._task.margin - difference)
        return tf.nn.softplus(-difference)


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
            name = feature_names.label(self.name)
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
