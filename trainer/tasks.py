"""The ranking tasks: what each predicts of a user and an item, and its loss."""

from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf
import tensorflow_recommenders as tfrs

from pipeline.config.tasks import BinaryTask, LabelledTask, RegressionTask
from trainer.towers import HiddenLayers

_NONE = tf.keras.losses.Reduction.NONE


@dataclass(frozen=True)
class LabelStatistics:
    """A task's labels in the training data, where its weight is positive.

    Attributes:
        mean, deviation: weighted. Regression learns (label - mean) / deviation, so that its loss and gradients have
            the same size whatever the label's unit.
    """

    mean: float = 0.0
    deviation: float = 1.0


class RankingHead(tf.keras.layers.Layer):
    """A task's prediction from the shared representation, with a bias for each item.

    Args:
        name: the task's.
        task: kind, layers and bounds.
        item_count: V.
        statistics: of the labels.
    """

    def __init__(self, name: str, task: LabelledTask, item_count: int, statistics: LabelStatistics) -> None:
        super().__init__(name=name)
        self._task = task
        self._statistics = statistics
        self.hidden = HiddenLayers(task.hidden, name="hidden")
        self.project = tf.keras.layers.Dense(1, name="project", bias_initializer=self._start())
        self.item_bias = tf.keras.layers.Embedding(item_count + 1, 1, "zeros", name="bias_embedding")
        self.loss = tfrs.tasks.Ranking(self._loss_function(), name="loss")

    def call(self, shared: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        """float [B, N, F] and items int64 [B, N] -> float [B, N]: a logit or a standardised label."""
        return tf.squeeze(self.project(self.hidden(shared)) + self.item_bias(item), -1)

    def losses_of(self, output: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        """`call`'s output and labels, float [T] -> float [T]."""
        if isinstance(self._task, RegressionTask):
            label = (label - self._statistics.mean) / self._statistics.deviation
        return self.loss(label[:, tf.newaxis], output[:, tf.newaxis], compute_metrics=False)

    def prediction(self, output: tf.Tensor) -> tf.Tensor:
        """`call`'s output -> a probability, or a number in the label's unit inside [min, max]."""
        if not isinstance(self._task, RegressionTask):
            return tf.sigmoid(output)
        value = output * self._statistics.deviation + self._statistics.mean
        if self._task.min is not None:
            value = tf.maximum(value, self._task.min)
        return value if self._task.max is None else tf.minimum(value, self._task.max)

    def _loss_function(self) -> tf.keras.losses.Loss:
        if isinstance(self._task, RegressionTask):
            return tf.keras.losses.MeanSquaredError(reduction=_NONE)
        return tf.keras.losses.BinaryCrossentropy(from_logits=True, reduction=_NONE)

    def _start(self) -> tf.keras.initializers.Initializer:
        share = min(max(self._statistics.mean, 1e-4), 1 - 1e-4)
        is_binary = isinstance(self._task, BinaryTask)
        return tf.keras.initializers.Constant(float(tf.math.log(share / (1 - share))) if is_binary else 0.0)


def ranking_heads(
    tasks: Mapping[str, LabelledTask], item_count: int, statistics: Mapping[str, LabelStatistics]
) -> dict[str, RankingHead]:
    """One head for each task."""
    return {
        name: RankingHead(name, task, item_count, statistics.get(name, LabelStatistics()))
        for name, task in tasks.items()
    }
