"""The heads of the multiclass tasks: a softmax over the values of an item feature that a user's next event has."""

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
from trainer.layers.blocks import HiddenLayers
from transform.features import ModelFeature


class Classes(NamedTuple):
    """The classes of T events, up to M each.

    Attributes:
        index: int64 [T, M] in [0, C).
        share: float [T, M], equal, of sum 1; 0 where there is no class.
    """

    index: tf.Tensor
    share: tf.Tensor


def class_shares(values: tf.Tensor, count: int) -> Classes:
    """Returns the classes of a catalogue feature's values.

    Example:
        With C = 3, values [1 2 1 7] have the index [1 2 0 0] and the share [1/2 1/2 0 0]: repetitions and 7 are none.

    Args:
        values: int [T] or [T, M]; values outside [0, count) are no class: unknown, missing or padding.
        count: C.
    """
    index = tf.cast(values if values.shape.rank == 2 else values[:, tf.newaxis], tf.int64)
    same = tf.linalg.band_part(index[:, :, tf.newaxis] == index[:, tf.newaxis], -1, 0)
    is_first = tf.reduce_sum(tf.cast(same, tf.int32), axis=-1) == 1
    is_class = tf.cast((index >= 0) & (index < count) & is_first, tf.float32)
    share = tf.math.divide_no_nan(is_class, tf.reduce_sum(is_class, axis=1, keepdims=True))
    return Classes(tf.where(is_class > 0, index, 0), share)


def dense_shares(classes: Classes, count: int) -> tf.Tensor:
    """Returns the shares by class: float [T, C]."""
    row = tf.repeat(tf.range(tf.shape(classes.index, tf.int64)[0]), tf.shape(classes.index)[1])
    cells = tf.stack([row, tf.reshape(classes.index, [-1])], axis=1)
    shape = tf.stack([tf.shape(classes.index, tf.int64)[0], tf.constant(count, tf.int64)])
    return tf.scatter_nd(cells, tf.reshape(classes.share, [-1]), shape)


class ClassTargets(NamedTuple):
    """T target events with a class.

    Attributes:
        index: int64 [T, 2], row and position of their queries.
        classes: Of the events.
        weight: float [T], positive.
    """

    index: tf.Tensor
    classes: Classes
    weight: tf.Tensor


class ClassHead(tf.keras.layers.Layer):
    """Predicts the probability of every class from the query's state alone.

    Args:
        name: The task's.
        task: The attribute, layers and smoothing.
        count: C, the size of the attribute's vocabulary.
        catalogue: Before training the probabilities are those of its positive training targets.
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
        """Computes logits float [T, C] from query states float [T, S]."""
        return self.project(self.hidden(state))

    def targets(self, window: Window, values: tf.Tensor) -> ClassTargets:
        """Finds the weighted target events with a class.

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
        """Computes the cross-entropy of the softmax with the classes' shares: float [T, C] to float [T]."""
        log_sum = tf.reduce_logsumexp(logits, axis=1)
        chosen = tf.gather(logits, classes.index, batch_dims=1)
        loss = log_sum - tf.reduce_sum(classes.share * chosen, axis=1)
        if self._smoothing:
            loss += self._smoothing * (log_sum - tf.reduce_mean(logits, axis=1) - loss)
        return loss

    def probabilities(self, state: tf.Tensor) -> tf.Tensor:
        """Computes probabilities float [T, C] from query states float [T, S]."""
        return tf.nn.softmax(self(state))


def class_heads(config: Config, features: Sequence[ModelFeature], catalogue: Catalogue) -> dict[str, ClassHead]:
    """Makes one head for each multiclass task.

    Raises:
        ValueError: If an attribute has no value in the training data.
    """
    heads = {}
    for name, task in config.multiclass.items():
        # The classes are the attribute's vocabulary, without its OOV buckets and the missing value.
        oov = next(
            f.oov_buckets for f in config.features.item if f.name == task.attribute and isinstance(f, Categorical)
        )
        size = next(f.size for f in features if f.name == feature_names.item_feature(task.attribute))
        count = (size or 0) - oov - 1
        if count < 1:
            raise ValueError(
                f"`tasks.{name}.attribute` should have values in the items table. Received: {task.attribute!r}"
            )
        heads[name] = ClassHead(name, task, count, catalogue)
    return heads


def _log_shares(catalogue: Catalogue, feature: str, count: int) -> NDArray[np.float32]:
    """Returns the logarithm of each class's share of the positive training targets, plus one for each class: [C]."""
    values = catalogue.features[feature][:-1]
    classes = class_shares(tf.constant(values), count)
    weight = classes.share.numpy() * catalogue.frequencies[:, np.newaxis]
    total = np.bincount(classes.index.numpy().ravel(), weight.ravel(), count) + 1
    return np.log(total / total.sum()).astype(np.float32)
