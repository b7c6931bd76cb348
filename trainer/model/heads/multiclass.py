"""Which values of an item feature a user's next event has: a softmax over the feature's vocabulary."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from config import Config, feature_names
from config.features import Categorical
from config.tasks import MulticlassTask
from trainer.data.catalogue import Catalogue
from trainer.data.windows import MASK, Window
from trainer.layers.feature_encoders import HiddenLayers
from transform.features import ModelFeature


class Classes(NamedTuple):
    """The classes of events: their indexes int64 [T, M] in [0, C), and their shares float [T, M]: equal, of sum 1, 0
    where there is no class."""

    index: tf.Tensor
    share: tf.Tensor


def class_shares(values: tf.Tensor, count: int) -> Classes:
    """The shares of a catalogue feature's values.

    Args:
        values: int [T] or [T, M]; what is outside [0, count) is no class: unknown, missing or padding.
        count: C.
    """
    index = tf.cast(values if values.shape.rank == 2 else values[:, tf.newaxis], tf.int64)
    same = tf.linalg.band_part(index[:, :, tf.newaxis] == index[:, tf.newaxis], -1, 0)
    is_first = tf.reduce_sum(tf.cast(same, tf.int32), axis=-1) == 1
    is_class = tf.cast((index >= 0) & (index < count) & is_first, tf.float32)
    share = tf.math.divide_no_nan(is_class, tf.reduce_sum(is_class, axis=1, keepdims=True))
    return Classes(tf.where(is_class > 0, index, 0), share)


def dense_shares(classes: Classes, count: int) -> tf.Tensor:
    """The shares by class: float [T, C]."""
    row = tf.repeat(tf.range(tf.shape(classes.index, tf.int64)[0]), tf.shape(classes.index)[1])
    cells = tf.stack([row, tf.reshape(classes.index, [-1])], axis=1)
    shape = tf.stack([tf.shape(classes.index, tf.int64)[0], tf.constant(count, tf.int64)])
    return tf.scatter_nd(cells, tf.reshape(classes.share, [-1]), shape)


class ClassTargets(NamedTuple):
    """T events: indices int64 [T, 2] of their queries, their classes, and weights float [T], positive."""

    index: tf.Tensor
    classes: Classes
    weight: tf.Tensor


class ClassHead(tf.keras.layers.Layer):
    """The probability of every class from the query's state alone.

    Args:
        name: the task's.
        task: the attribute, layers and smoothing.
        count: C, the size of the attribute's vocabulary.
        catalogue: before training the probabilities are those of its positive training targets.
    """

    def __init__(self, name: str, task: MulticlassTask, count: int, catalogue: Catalogue) -> None:
        super().__init__(name=name)
        self._smoothing = task.label_smoothing
        self.feature = feature_names.item_feature(task.attribute)
        self.count = count
        self.hidden = HiddenLayers(task.hidden, name="hidden")
        start = tf.keras.initializers.Constant(_log_shares(catalogue, self.feature, count))
        self.project = tf.keras.layers.Dense(self.count, name="project", bias_initializer=start)

    def call(self, state: tf.Tensor) -> tf.Tensor:
        """Query states float [T, S] -> logits float [T, C]."""
        return self.project(self.hidden(state))

    def targets(self, window: Window, values: tf.Tensor) -> ClassTargets:
        """The weighted target events with a class.

        Args:
            window: [B, L].
            values: int [B, L] or [B, L, M], the attribute of the window's items.
        """
        weight = tf.where(window[MASK] & window[feature_names.IS_TARGET], window[feature_names.weight(self.name)], 0)
        index = tf.where(weight > 0)
        classes = class_shares(tf.gather_nd(values, index), self.count)
        has_class = tf.reduce_any(classes.share > 0, axis=1)
        index, chosen, share = (tf.boolean_mask(v, has_class) for v in (index, *classes))
        return ClassTargets(index, Classes(chosen, share), tf.gather_nd(weight, index))

    def losses_of(self, logits: tf.Tensor, classes: Classes) -> tf.Tensor:
        """The cross-entropy of the softmax with the classes' shares: float [T, C] -> float [T]."""
        log_sum = tf.reduce_logsumexp(logits, axis=1)
        chosen = tf.gather(logits, classes.index, batch_dims=1)
        loss = log_sum - tf.reduce_sum(classes.share * chosen, axis=1)
        if self._smoothing:
            loss += self._smoothing * (log_sum - tf.reduce_mean(logits, axis=1) - loss)
        return loss

    def probabilities(self, state: tf.Tensor) -> tf.Tensor:
        """Query states float [T, S] -> float [T, C]."""
        return tf.nn.softmax(self(state))


def class_heads(config: Config, features: Sequence[ModelFeature], catalogue: Catalogue) -> dict[str, ClassHead]:
    """One head for each multiclass task.

    Raises:
        ValueError: an attribute has no value in the training data.
    """
    return {
        name: ClassHead(name, task, _class_count(name, config, task, features), catalogue)
        for name, task in config.multiclass.items()
    }


def _class_count(name: str, config: Config, task: MulticlassTask, features: Sequence[ModelFeature]) -> int:
    """The size of the attribute's vocabulary: what is out of it, or missing, is no class."""
    oov = next(f.oov_buckets for f in config.features.item if f.name == task.attribute and isinstance(f, Categorical))
    size = next(f.size for f in features if f.name == feature_names.item_feature(task.attribute))
    count = (size or 0) - oov - 1
    if count < 1:
        raise ValueError(
            f"`tasks.{name}.attribute` should have values in the items table. Received: {task.attribute!r}"
        )
    return count


def _log_shares(catalogue: Catalogue, feature: str, count: int) -> NDArray[np.float32]:
    """The logarithm of each class's share of the positive training targets, one more for each class: [C]."""
    values = catalogue.features[feature][:-1]
    classes = class_shares(tf.constant(values), count)
    weight = classes.share.numpy() * catalogue.frequencies[:, np.newaxis]
    total = np.bincount(classes.index.numpy().ravel(), weight.ravel(), count) + 1
    return np.log(total / total.sum()).astype(np.float32)
