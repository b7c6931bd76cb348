"""What both towers are made of."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from trainer.data.catalogue import PADDING
from trainer.layers.batch_norm import BatchNorm
from transform.features import ModelFeature


def embedding_table(size: int, dimension: int, name: str) -> tf.keras.layers.Embedding:
    """A table of small random vectors."""
    return tf.keras.layers.Embedding(size, dimension, tf.keras.initializers.RandomNormal(stddev=0.05), name=name)


class FeatureEncoder(tf.keras.layers.Layer):
    """Features of one thing as one vector: embeddings of categories (means of several) and numbers, projected.

    Args:
        features: names, forms and sizes.
        width: of each feature's embedding.
        dimension: D, of the output.
    """

    def __init__(self, features: Sequence[ModelFeature], width: int, dimension: int, name: str) -> None:
        super().__init__(name=name)
        self._features = list(features)
        self.tables = {
            f.name: embedding_table(f.size, width, name=f"{f.name}_embedding") for f in features if f.size is not None
        }
        self.project = tf.keras.layers.Dense(dimension, use_bias=False, name="project")

    def call(self, values: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """[...] by name, [..., M] for several values -> float [..., D]."""
        return self.project(tf.concat([self._encode(f, values[f.name]) for f in self._features], axis=-1))

    def _encode(self, feature: ModelFeature, values: tf.Tensor) -> tf.Tensor:
        if feature.form == "number":
            return values[..., tf.newaxis]
        if feature.form == "category":
            return self.tables[feature.name](values)
        is_value = tf.cast(values != PADDING, tf.float32)[..., tf.newaxis]
        vectors = self.tables[feature.name](tf.maximum(values, 0)) * is_value
        return tf.math.divide_no_nan(tf.reduce_sum(vectors, axis=-2), tf.reduce_sum(is_value, axis=-2))


class HiddenLayers(tf.keras.layers.Layer):
    """Dense layers with GELU, and batch normalisation before it where asked for."""

    def __init__(self, widths: Sequence[int], name: str, batch_norm: bool = False) -> None:
        super().__init__(name=name)
        # What batch normalisation would take away again is left out.
        activation, has_bias = (None, False) if batch_norm else ("gelu", True)
        self.layers = [tf.keras.layers.Dense(w, activation, has_bias, name=f"hidden_{i}") for i, w in enumerate(widths)]
        self.norms = [BatchNorm(name=f"norm_{i}") for i in range(len(widths) if batch_norm else 0)]

    def call(self, values: tf.Tensor, counts: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        """float [..., A] and, for batch normalisation, what counts bool [...] -> float [..., the last width]."""
        for number, layer in enumerate(self.layers):
            values = layer(values)
            if self.norms:
                values = tf.nn.gelu(self.norms[number](values, counts, training=training))
        return values
