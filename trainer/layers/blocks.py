"""The blocks of towers and heads: feature encoders, hidden layers, batch normalisation."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from trainer.data.catalogue import PADDING
from trainer.layers.tables import EmbeddingTables
from transform.features import ModelFeature

_EPSILON, _MOMENTUM, _RAMP = 1e-3, 0.99, 9


class FeatureEncoder(tf.keras.layers.Layer):
    """Projects the concatenated features to one vector: embeddings of categories (the mean of several) and numbers.

    Args:
        features: Names, forms and sizes.
        tables: Makes the embeddings.
        width: Of each feature's embedding.
        dimension: D, of the output.

    Attributes:
        features: In the order of the projection's inputs, of which a category has `width` and a number one.
    """

    def __init__(
        self, features: Sequence[ModelFeature], tables: EmbeddingTables, width: int, dimension: int, name: str
    ) -> None:
        super().__init__(name=name)
        self.features = list(features)
        self.width = width
        self.tables = {
            f.name: tables.make(f.name, f.size, width, f"{f.name}_embedding") for f in features if f.size is not None
        }
        self.project = tf.keras.layers.Dense(dimension, use_bias=False, name="project")

    def call(self, values: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Encodes features by name, [...] or [..., M] for several values: float [..., D]."""
        return self.project(tf.concat([self._encode(f, values[f.name]) for f in self.features], axis=-1))

    def _encode(self, feature: ModelFeature, values: tf.Tensor) -> tf.Tensor:
        if feature.form == "number":
            return values[..., tf.newaxis]
        if feature.form == "category":
            return self.tables[feature.name](values)
        is_value = tf.cast(values != PADDING, tf.float32)[..., tf.newaxis]
        vectors = self.tables[feature.name](tf.maximum(values, 0)) * is_value
        return tf.math.divide_no_nan(tf.reduce_sum(vectors, axis=-2), tf.reduce_sum(is_value, axis=-2))


class HiddenLayers(tf.keras.layers.Layer):
    """Dense layers with GELU, optionally with batch normalisation before it, which makes their biases redundant."""

    def __init__(self, widths: Sequence[int], name: str, batch_norm: bool = False) -> None:
        super().__init__(name=name)
        activation, has_bias = (None, False) if batch_norm else ("gelu", True)
        self.layers = [tf.keras.layers.Dense(w, activation, has_bias, name=f"hidden_{i}") for i, w in enumerate(widths)]
        self.norms = [BatchNorm(name=f"norm_{i}") for i in range(len(widths) if batch_norm else 0)]

    def call(self, values: tf.Tensor, counts: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        """Applies the layers to float [..., A]; `counts` bool [...] are the batch statistics' mask."""
        for number, layer in enumerate(self.layers):
            values = layer(values)
            if self.norms:
                values = tf.nn.gelu(self.norms[number](values, counts, training=training))
        return values


class BatchNorm(tf.keras.layers.Layer):
    """Normalises each channel to mean 0 and variance 1 over the global batch, then scales and shifts it.

    Ioffe and Szegedy, "Batch Normalization" (2015). Mean and variance are those of the global batch, whatever the
    number of replicas, without padding. Outside training they are moving averages, which keep the share
    min(0.99, t / (9 + t)) of themselves after t batches, so that the initial values are soon forgotten.

    tf_keras' BatchNormalization(synchronized=True) keeps a fixed share, and computes the variance as the mean of
    squares less the square of the mean, which loses digits.
    """

    def build(self, input_shape: tf.TensorShape) -> None:
        """Adds scale, offset and the moving averages: input float [..., C]."""
        channels = [input_shape[-1]]
        self.scale = self.add_weight(name="gamma", shape=channels, initializer="ones")
        self.offset = self.add_weight(name="beta", shape=channels, initializer="zeros")
        moving = {"trainable": False, "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA}
        self.mean = self.add_weight(name="moving_mean", shape=channels, initializer="zeros", **moving)
        self.variance = self.add_weight(name="moving_variance", shape=channels, initializer="ones", **moving)
        self.batches = self.add_weight(name="batches", shape=[], initializer="zeros", **moving)
        super().build(input_shape)

    def call(self, values: tf.Tensor, counts: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        """Normalises values.

        Args:
            values: float [..., C].
            counts: bool [...], the values that the batch's mean and variance are taken over. None: all.
            training: Whether to normalise by the batch and to update the moving averages.

        Returns:
            float [..., C].
        """
        mean, variance = self._moments(values, counts) if training else (self.mean, self.variance)
        return (values - mean) * (tf.math.rsqrt(variance + _EPSILON) * self.scale) + self.offset

    def _moments(self, values: tf.Tensor, counts: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
        flat = tf.reshape(values, [-1, values.shape[-1]])
        weight = tf.ones_like(flat[:, 0]) if counts is None else tf.cast(tf.reshape(counts, [-1]), flat.dtype)
        sums = [tf.reduce_sum(weight), tf.linalg.matvec(flat, weight, transpose_a=True)]
        count, total = _sum_over_replicas(sums)
        mean = tf.math.divide_no_nan(total, count)
        # Around the mean: the mean of squares less the square of the mean loses digits.
        (squares,) = _sum_over_replicas([tf.linalg.matvec((flat - mean) ** 2, weight, transpose_a=True)])
        variance = tf.math.divide_no_nan(squares, count)
        is_any, batches = tf.cast(count > 0, flat.dtype), self.batches.read_value()
        moved = is_any * (1 - tf.minimum(_MOMENTUM, batches / (_RAMP + batches)))
        self.batches.assign_add(is_any)
        self.mean.assign_add(moved * (mean - self.mean))
        self.variance.assign_add(moved * (variance - self.variance))
        return mean, variance


def _sum_over_replicas(values: list[tf.Tensor]) -> list[tf.Tensor]:
    """Sums all replicas' tensors; unlike in `global_sum`, gradients flow to all replicas."""
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)
