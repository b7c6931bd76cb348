"""What the heads of all ranking tasks have in common."""

import tensorflow as tf

from config.tasks import LabelledTask
from trainer.data.batching import LabelStatistics
from trainer.data.windows import Window
from trainer.layers.feature_encoders import HiddenLayers
from trainer.model.heads.targets import Targets, event_targets


class RankingHead(tf.keras.layers.Layer):
    """A task's score of items from the shared representation, with a bias for each item.

    A kind of task says what it is trained with (`targets`, by default each labelled event alone), its loss
    (`losses_of`) and what it answers (`prediction`, by default the score itself).

    Args:
        name: the task's.
        task: kind, layers and bounds.
        item_count: V.
        statistics: of the labels.
        start: the score before training; None where only differences of scores count, so that there is no bias for
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
        self._statistics = statistics
        self.hidden = HiddenLayers(task.hidden, name="hidden")
        initializer = tf.keras.initializers.Constant(start or 0.0)
        self.project = tf.keras.layers.Dense(
            1, use_bias=start is not None, name="project", bias_initializer=initializer
        )
        self.item_bias = tf.keras.layers.Embedding(item_count + 1, 1, "zeros", name="bias_embedding")

    @property
    def span(self) -> int:
        """How many events, the query's own first, the items are of that one query scores in training."""
        return 1

    def call(self, shared: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        """float [B, N, F] and items int64 [B, N] -> the scores, float [B, N]."""
        return tf.squeeze(self.project(self.hidden(shared)) + self.item_bias(item), -1)

    def targets(self, window: Window) -> Targets:
        """What a window batch trains the task with."""
        return event_targets(window, self.name)

    def losses_of(self, output: tf.Tensor, targets: Targets) -> tf.Tensor:
        """`call`'s output for the targets' queries and items, float [T, N] -> float [T]."""
        raise NotImplementedError

    @property
    def unit(self) -> float:
        """What one of `taught`'s is in the unit of `call`'s output."""
        return 1.0

    def taught(self, output: tf.Tensor) -> tf.Tensor:
        """`call`'s output -> the score as another model can learn it, free of this one's labels and factors."""
        return output

    def prediction(self, output: tf.Tensor) -> tf.Tensor:
        """`call`'s output -> what the task answers, the same shape."""
        return output
