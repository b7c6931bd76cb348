"""The heads of the ranking tasks: pointwise (binary, regression), pairwise and listwise."""

import math
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_recommenders as tfrs

from config import feature_names
from config.tasks import BinaryTask, LabelledTask, ListwiseTask, PairwiseTask, RegressionTask
from trainer.data.batching import LabelStatistics
from trainer.data.windows import Window
from trainer.layers.blocks import HiddenLayers
from trainer.losses.targets import Targets, event_targets, list_targets, pair_targets

_ABSENT = -1e9
"""The score of an item that is in no list: its softmax is 0."""


class RankingHead(tf.keras.layers.Layer):
    """A task's score of items from the shared representation, with a bias for each item.

    A kind of task defines its `targets` (by default each labelled event alone), its loss (`losses_of`) and its
    `prediction` (by default the score itself).

    Args:
        name: The task's.
        task: Kind, layers and bounds.
        item_count: V.
        statistics: Of the labels.
        start: The score before training; None where only differences of scores count, so that there is no bias for
            all items.
    """

    def __init__(
        self,
        name: str,
        task: LabelledTask,
        item_count: int,
        statistics: LabelStatistics,
        start: float | None = None,
    ) -> None:
        super().__init__(name=name)
        self._task: Any = task  # of the subclass's kind
        self._statistics = statistics
        self.hidden = HiddenLayers(task.hidden, name="hidden")
        initializer = tf.keras.initializers.Constant(start or 0.0)
        self.project = tf.keras.layers.Dense(
            1, use_bias=start is not None, name="project", bias_initializer=initializer
        )
        self.item_bias = tf.keras.layers.Embedding(item_count + 1, 1, "zeros", name="bias_embedding")

    @property
    def statistics(self) -> LabelStatistics:
        """The statistics of the labels."""
        return self._statistics

    @property
    def span(self) -> int:
        """The number of events, the query's own first, whose items one query scores in training."""
        return 1

    def call(self, shared: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        """Scores pairs float [B, N, F] of items int64 [B, N]: float [B, N]."""
        return tf.squeeze(self.project(self.hidden(shared)) + self.item_bias(item), -1)

    def targets(self, window: Window) -> Targets:
        """Finds the targets of a window batch [B, L]."""
        return event_targets(window, self.name)

    def losses_of(self, output: tf.Tensor, targets: Targets) -> tf.Tensor:
        """Computes the losses float [T] from `call`'s output for the targets' queries and items, float [T, N]."""
        raise NotImplementedError

    @property
    def unit(self) -> float:
        """What a difference of 1 in `distilled` is in `call`'s output."""
        return 1.0

    def distilled(self, output: tf.Tensor) -> tf.Tensor:
        """Converts `call`'s output to a score that another model can learn, free of this one's labels and factors."""
        return output

    def prediction(self, output: tf.Tensor) -> tf.Tensor:
        """Converts `call`'s output to the task's prediction, the same shape."""
        return output


class RegressionHead(RankingHead):
    """Predicts a number in the label's unit; scores are standardised labels.

    Args: see `RankingHead`.
    """

    def __init__(self, name: str, task: RegressionTask, item_count: int, statistics: LabelStatistics) -> None:
        super().__init__(name, task, item_count, statistics, start=0.0)
        error = tf.keras.losses.MeanSquaredError(reduction=tf.keras.losses.Reduction.NONE)
        self.loss = tfrs.tasks.Ranking(error, name="loss")

    def losses_of(self, output: tf.Tensor, targets: Targets) -> tf.Tensor:
        """Computes the squared error in standard deviations: float [T, 1] to float [T]."""
        label = (targets.label - self._statistics.mean) / self._statistics.deviation
        return self.loss(label, output, compute_metrics=False)

    @property
    def unit(self) -> float:
        """See `RankingHead`."""
        return 1 / self._statistics.deviation

    def distilled(self, output: tf.Tensor) -> tf.Tensor:
        """Converts to a number in the label's unit."""
        return output * self._statistics.deviation + self._statistics.mean

    def prediction(self, output: tf.Tensor) -> tf.Tensor:
        """Converts to a number in the label's unit inside [min, max]."""
        value = self.distilled(output)
        if self._task.min is not None:
            value = tf.maximum(value, self._task.min)
        return value if self._task.max is None else tf.minimum(value, self._task.max)


class BinaryHead(RankingHead):
    """Predicts a probability; scores are log-odds plus log(`positive_weight`), which predictions subtract.

    Args: see `RankingHead`.
    """

    def __init__(self, name: str, task: BinaryTask, item_count: int, statistics: LabelStatistics) -> None:
        share = min(max(statistics.mean, 1e-4), 1 - 1e-4)
        start = float(tf.math.log(share / (1 - share))) + math.log(task.positive_weight)
        super().__init__(name, task, item_count, statistics, start)
        entropy = tf.keras.losses.BinaryCrossentropy(
            from_logits=True, label_smoothing=task.label_smoothing, reduction=tf.keras.losses.Reduction.NONE
        )
        self.loss = tfrs.tasks.Ranking(entropy, name="loss")

    def losses_of(self, output: tf.Tensor, targets: Targets) -> tf.Tensor:
        """Computes the cross-entropy, positives times `positive_weight`: float [T, 1] to float [T]."""
        losses, factor = self.loss(targets.label, output, compute_metrics=False), self._task.positive_weight
        return losses if factor == 1 else losses * (1 + (factor - 1) * targets.label[:, 0])

    def distilled(self, output: tf.Tensor) -> tf.Tensor:
        """Converts to log-odds."""
        return output - math.log(self._task.positive_weight)

    def prediction(self, output: tf.Tensor) -> tf.Tensor:
        """Converts to a probability."""
        return tf.sigmoid(self.distilled(output))


class PairwiseHead(RankingHead):
    """Trained on pairs of events: BPR (Rendle et al., 2009) or the hinge of RankSVM (Joachims, 2002).

    Args: see `RankingHead`.
    """

    @property
    def span(self) -> int:
        """The earlier event of a pair and those that it may be paired with."""
        return self._task.within + 1

    def targets(self, window: Window) -> Targets:
        """Finds pairs of events near to each other."""
        return pair_targets(window, self.name, self._task.within)

    def losses_of(self, output: tf.Tensor, targets: Targets) -> tf.Tensor:
        """Computes the loss of d, the higher label's score minus the lower one's: float [T, 2] to float [T].

        BPR: log(1 + exp(-d)); hinge: max(0, margin - d).
        """
        order = tf.sign(targets.label[:, 0] - targets.label[:, 1])
        difference = order * (output[:, 0] - output[:, 1])
        if self._task.loss == "hinge":
            return tf.nn.relu(self._task.margin - difference)
        return tf.nn.softplus(-difference)


class ListwiseHead(RankingHead):
    """Trained on lists of events by a softmax over their scores (Cao et al., 2007).

    Args: see `RankingHead`.
    """

    @property
    def span(self) -> int:
        """The length of a list."""
        return self._task.length

    def targets(self, window: Window) -> Targets:
        """Finds lists of events, from the newest backwards."""
        if self._task.loss == "softmax":
            name = feature_names.label(self.name)
            window = {**window, name: tf.nn.relu(window[name])}
        return list_targets(window, self.name, self._task.length, self._task.session is not None)

    def losses_of(self, output: tf.Tensor, targets: Targets) -> tf.Tensor:
        """Computes the cross-entropy of the scores' softmax with the labels' shares: float [T, N] to float [T]."""
        scores = tf.where(targets.is_member, output, _ABSENT)
        log_sum = tf.reduce_logsumexp(scores, axis=1)
        return log_sum - tf.reduce_sum(self._shares(targets) * tf.where(targets.is_member, output, 0), axis=1)

    def _shares(self, targets: Targets) -> tf.Tensor:
        """Returns float [T, N], each row of sum 1: the softmax of the labels (ListNet) or the labels over their sum."""
        if self._task.loss == "listnet":
            label = targets.label / self._statistics.deviation
            return tf.nn.softmax(tf.where(targets.is_member, label, _ABSENT))
        gain = tf.where(targets.is_member, targets.label, 0)
        return tf.math.divide_no_nan(gain, tf.reduce_sum(gain, axis=1, keepdims=True))


_HEADS: dict[type[LabelledTask], type[RankingHead]] = {
    BinaryTask: BinaryHead,
    RegressionTask: RegressionHead,
    PairwiseTask: PairwiseHead,
    ListwiseTask: ListwiseHead,
}


def ranking_heads(
    tasks: Mapping[str, LabelledTask], item_count: int, statistics: Mapping[str, LabelStatistics]
) -> dict[str, RankingHead]:
    """Makes one head for each ranking task."""
    return {
        name: _HEADS[type(task)](name, task, item_count, statistics.get(name, LabelStatistics()))
        for name, task in tasks.items()
    }
