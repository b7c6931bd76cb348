"""The probability of a yes."""

import math

import tensorflow as tf
import tensorflow_recommenders as tfrs

from pipeline.config.tasks import BinaryTask
from trainer.tasks.head import LabelStatistics, RankingHead
from trainer.tasks.targets import Targets


class BinaryHead(RankingHead):
    """Scores are log-odds, raised by the logarithm of `positive_weight`, which predictions are freed from again.

    Args: see `RankingHead`.
    """

    def __init__(self, name: str, task: BinaryTask, item_count: int, statistics: LabelStatistics) -> None:
        share = min(max(statistics.mean, 1e-4), 1 - 1e-4)
        self._factor = task.positive_weight
        start = float(tf.math.log(share / (1 - share))) + math.log(self._factor)
        super().__init__(name, task, item_count, statistics, start)
        entropy = tf.keras.losses.BinaryCrossentropy(
            from_logits=True, label_smoothing=task.label_smoothing, reduction=tf.keras.losses.Reduction.NONE
        )
        self.loss = tfrs.tasks.Ranking(entropy, name="loss")

    def losses_of(self, output: tf.Tensor, targets: Targets) -> tf.Tensor:
        """The cross-entropy: float [T, 1] -> float [T]."""
        losses = self.loss(targets.label, output, compute_metrics=False)
        return losses if self._factor == 1 else losses * (1 + (self._factor - 1) * targets.label[:, 0])

    def taught(self, output: tf.Tensor) -> tf.Tensor:
        """Log-odds."""
        return output - math.log(self._factor)

    def prediction(self, output: tf.Tensor) -> tf.Tensor:
        """A probability."""
        return tf.sigmoid(self.taught(output))
