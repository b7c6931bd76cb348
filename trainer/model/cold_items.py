"""Vectors and biases of items without a meaningful id, from their content."""

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from config import Config
from config.model import GeneratorConfig
from trainer.data.catalogue import Catalogue
from trainer.distributed.randomness import Randomness
from trainer.losses.negatives import Negatives
from trainer.losses.softmax import BLOCKED

_DRAWS = 1 << 16
"""The most numbers drawn for a step: items whose indexes differ by a multiple of this lose their ids together."""


class ContentGenerator(tf.keras.layers.Layer):
    """A network that adds a correction to the vector of an item's content; the correction is 0 before training.

    Args:
        config: Layers, noise.
        dimension: D.
    """

    def __init__(self, config: GeneratorConfig, dimension: int, name: str = "generator") -> None:
        super().__init__(name=name)
        self._noise = config.noise
        self.hidden = [tf.keras.layers.Dense(w, "gelu", name=f"hidden_{i}") for i, w in enumerate(config.layers)]
        self.correct = tf.keras.layers.Dense(dimension, kernel_initializer="zeros", name="correct")

    def call(self, content: tf.Tensor, noise: tf.Tensor | None = None) -> tf.Tensor:
        """Generates vectors.

        Args:
            content: float [..., D].
            noise: float [..., N]; zeros when None, as in serving.

        Returns:
            float [..., D].
        """
        if noise is None:
            noise = tf.zeros(tf.concat([tf.shape(content)[:-1], [self._noise]], axis=0), content.dtype)
            noise = tf.ensure_shape(noise, [*content.shape[:-1], self._noise])
        states = tf.concat([content, noise], axis=-1)
        for layer in self.hidden:
            states = layer(states)
        return content + self.correct(states)


class MissingIds:
    """Decides which items have no meaningful id: those without a training positive, and in training a random share.

    Volkovs, Yu and Poutanen, "DropoutNet: Addressing Cold Start in Recommender Systems" (2017). An item that loses its
    id does so in every position of the global batch, so that one replica computes what many compute.

    Args:
        rate: The share of the items that lose their ids in a step of training.
        warm: W: items [0, W) have training positives, [W, V] have none.
        size: V.
        randomness: Of the choice.
    """

    def __init__(self, rate: float, warm: int, size: int, randomness: Randomness) -> None:
        self.warm = warm
        self._draws = min(size + 1, _DRAWS)
        self._rate = rate
        self._randomness = randomness
        self._site = randomness.new_site()

    def __call__(self, item: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns whether the ids of items int64 [...] in [0, V] are missing: bool [...]."""
        is_cold = item >= self.warm
        if not training:
            return is_cold
        drawn = tf.random.stateless_uniform([self._draws], self._randomness.global_seed(self._site))
        return is_cold | tf.gather(drawn < self._rate, item % self._draws)

    def known_only(self, negatives: Negatives) -> Negatives:
        """Removes cold items from the negatives.

        They are never a positive: as negatives they would teach that content such as theirs is not wanted.
        """
        unknown = tf.cast(negatives.item >= self.warm, negatives.log_weight.dtype)
        return negatives._replace(log_weight=negatives.log_weight + BLOCKED * unknown)


class ContentItems(tf.keras.layers.Layer):
    """Vectors and biases of items whose id is missing.

    The vector is that of the content, corrected by the generator where there is one. The bias is predicted from the
    vector. A new item's popularity is unknown, which differs from the bias of an item with no events (its log
    popularity is minus infinity): it is expected to equal that of items of similar content. The prediction starts at
    the mean of the known items' biases.

    Args:
        config: Configures the generator.
        warm: W: items [0, W) have training positives, [W, V] have none.
        bias: float [V + 1], the items' biases before training.
        randomness: Of the ids that training drops.
    """

    def __init__(self, config: Config, warm: int, bias: NDArray[np.float32], randomness: Randomness) -> None:
        super().__init__(name="content_items")
        model = config.model
        self.is_missing = MissingIds(model.id_dropout, warm, len(bias) - 1, randomness)
        self.generator = ContentGenerator(model.generator, model.dimension) if model.generator else None
        start = tf.keras.initializers.Constant(float(bias[: max(warm, 1)].mean()))
        self.bias = tf.keras.layers.Dense(1, kernel_initializer="zeros", bias_initializer=start, name="bias")

    def vectors(
        self, item: tf.Tensor, known: tf.Tensor, content: tf.Tensor | None, training: bool = False
    ) -> tf.Tensor:
        """Replaces the vectors of items whose ids are missing.

        Args:
            item: int64 [...].
            known: float [..., D], of id and content.
            content: float [..., D]; None: items have no content, and missing ids are zero.
            training: Whether random ids are dropped too.

        Returns:
            float [..., D].
        """
        made = tf.zeros_like(known) if content is None else content
        if self.generator is not None:
            made = self.generator(made)
        return tf.where(self.is_missing(item, training)[..., tf.newaxis], made, known)

    def biases(self, item: tf.Tensor, vectors: tf.Tensor, known: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Replaces the biases float [...] of items int64 [...] whose ids are missing, from vectors float [..., D]."""
        return tf.where(self.is_missing(item, training), self.bias(vectors)[..., 0], known)


def content_items(
    config: Config, catalogue: Catalogue, bias: NDArray[np.float32], randomness: Randomness
) -> ContentItems | None:
    """Makes `ContentItems`; None where `model.id_dropout` is off."""
    if not config.model.id_dropout:
        return None
    return ContentItems(config, int(np.count_nonzero(catalogue.frequencies)), bias, randomness)
