"""What stands for an item without its id."""

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from config import Config
from config.model import GeneratorConfig
from trainer.data.catalogue import Catalogue
from trainer.distributed.randomness import Randomness
from trainer.losses.negatives import Negatives
from trainer.losses.softmax import BLOCKED


class ContentGenerator(tf.keras.layers.Layer):
    """A network that corrects what the content alone gives, from no correction at first.

    Args:
        config: layers, noise.
        dimension: D.
    """

    def __init__(self, config: GeneratorConfig, dimension: int, name: str = "generator") -> None:
        super().__init__(name=name)
        self._noise = config.noise
        self.hidden = [tf.keras.layers.Dense(w, "gelu", name=f"hidden_{i}") for i, w in enumerate(config.layers)]
        self.correct = tf.keras.layers.Dense(dimension, kernel_initializer="zeros", name="correct")

    def call(self, content: tf.Tensor, noise: tf.Tensor | None = None) -> tf.Tensor:
        """What content gives, float [..., D], and noise [..., N], none where an item is served -> float [..., D]."""
        if noise is None:
            noise = tf.zeros(tf.concat([tf.shape(content)[:-1], [self._noise]], axis=0), content.dtype)
            noise = tf.ensure_shape(noise, [*content.shape[:-1], self._noise])
        states = tf.concat([content, noise], axis=-1)
        for layer in self.hidden:
            states = layer(states)
        return content + self.correct(states)


_DRAWS = 1 << 16
"""Numbers drawn for a step at most: items whose indexes differ by a multiple of this lose their ids together."""


class MissingIds:
    """Items without a training positive have no id that means anything; training takes it from a share of the others.

    Volkovs, Yu and Poutanen, "DropoutNet: Addressing Cold Start in Recommender Systems" (2017). An item that loses its
    id does so in every position of the global batch, so that one replica sees what many see.

    Args:
        rate: the share of the items that lose their ids in a step of training.
        warm: W: items [0, W) have training positives, [W, V] have none.
        size: V.
        randomness: of the choice.
    """

    def __init__(self, rate: float, warm: int, size: int, randomness: Randomness) -> None:
        self.warm = warm
        self._draws = min(size + 1, _DRAWS)
        self._rate = rate
        self._randomness = randomness
        self._site = randomness.new_site()

    def __call__(self, item: tf.Tensor, training: bool = False) -> tf.Tensor:
        """int64 [...] in [0, V] -> bool [...]."""
        is_cold = item >= self.warm
        if not training:
            return is_cold
        drawn = tf.random.stateless_uniform([self._draws], self._randomness.global_seed(self._site))
        return is_cold | tf.gather(drawn < self._rate, item % self._draws)

    def known_only(self, negatives: Negatives) -> Negatives:
        """The negatives without the items that training does not know.

        They are never a positive: as negatives they would teach that content such as theirs is not wanted.
        """
        unknown = tf.cast(negatives.item >= self.warm, negatives.log_weight.dtype)
        return negatives._replace(log_weight=negatives.log_weight + BLOCKED * unknown)


class ContentItems(tf.keras.layers.Layer):
    """Vectors and biases of items whose id is missing.

    The vector is the content's, by way of the generator where there is one. The bias is predicted from the vector: an
    item that nobody has met yet has no popularity, which is not the same as none, the bias that its log popularity of
    minus infinity would come to; among the items of its content it is expected to be like the others. The prediction
    starts at the mean of the known items' biases.

    Args:
        config: names the generator.
        warm: W: items [0, W) have training positives, [W, V] have none.
        bias: float [V + 1], the items' biases at the start.
        randomness: of the ids that training takes away.
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
        """The items' vectors, those of missing ids made of the content alone.

        Args:
            item: int64 [...].
            known: float [..., D], of id and content.
            content: float [..., D]; None: items have no content, and missing ids are zero.

        Returns:
            float [..., D].
        """
        made = tf.zeros_like(known) if content is None else content
        if self.generator is not None:
            made = self.generator(made)
        return tf.where(self.is_missing(item, training)[..., tf.newaxis], made, known)

    def biases(self, item: tf.Tensor, vectors: tf.Tensor, known: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The items' biases, those of missing ids predicted: int64 [...], float [..., D], float [...] -> [...]."""
        return tf.where(self.is_missing(item, training), self.bias(vectors)[..., 0], known)


def content_items(
    config: Config, catalogue: Catalogue, bias: NDArray[np.float32], randomness: Randomness
) -> ContentItems | None:
    """None where `model.id_dropout` is off."""
    if not config.model.id_dropout:
        return None
    return ContentItems(config, int(np.count_nonzero(catalogue.frequencies)), bias, randomness)
