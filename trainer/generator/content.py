"""What stands for an item without its id."""

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline.config import Config
from trainer.catalogue import Catalogue
from trainer.generator.generator import ContentGenerator
from trainer.generator.missing import MissingIds
from trainer.randomness import Randomness


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
