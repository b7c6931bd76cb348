"""A number in the label's unit."""

import math

import tensorflow as tf
import tensorflow_recommenders as tfrs

from config.tasks import BinaryTask, RegressionTask
from trainer.data.batching import LabelStatistics
from trainer.model.heads.base import RankingHead
from trainer.model.heads.targets import Targets


class RegressionHead(RankingHead):
    """Scores are standardised labels.

    Args: see `RankingHead`.
    """

    def __init__(self, name: str, task: RegressionTask, item_count: int, statistics: LabelStatistics) -> None:
        super().__init__(name, task, item_count, statistics, start=0.0)
        self._min, self._max = task.min, task.max
        error = tf.keras.losses.MeanSquaredError(reduction=tf.keras.losses.Reduction.NONE)
        self.loss = tfrs.tasks.Ranking(error, name="loss")

    def losses_of(self, output: tf.Tensor, targets: Targets) -> tf.Tensor:
        """The squared error in deviations: float [T, 1] -> float [T]."""
        label = (targets.label - self._statistics.mean) / self._statistics.deviation
        return self.loss(label, output, compute_metrics=False)

    @property
    def unit(self) -> float:
        """See `RankingHead`."""
        return 1 / self._statistics.deviation

    def taught(self, output: tf.Tensor) -> tf.Tensor:
        """A number in the label's unit."""
        return output * self._statistics.deviation + self._statistics.mean

    def prediction(self, output: tf.Tensor) -> tf.Tensor:
        """A number in the label's unit inside [min, max]."""
        value = self.taught(output)
        if self._min is not None:
            value = tf.maximum(value, self._min)
        return value if self._max is None else tf.minimum(value, self._max)


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
