"""A number in the label's unit."""

import tensorflow as tf
import tensorflow_recommenders as tfrs

from pipeline.config.tasks import RegressionTask
from trainer.tasks.head import LabelStatistics, RankingHead
from trainer.tasks.targets import Targets


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
