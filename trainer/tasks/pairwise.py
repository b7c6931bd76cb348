"""Scores that order the items of two events by their labels."""

import tensorflow as tf

from pipeline.config.tasks import PairwiseTask
from trainer.tasks.head import LabelStatistics, RankingHead
from trainer.tasks.targets import Targets, pair_targets
from trainer.windows import Window


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
