"""Embedding tables in a quarter of their bytes."""

import tensorflow as tf

from trainer.layers.blocks import FeatureEncoder
from trainer.model.recommender import RecommenderModel

_STEPS = 127


class QuantisedTable(tf.keras.layers.Layer):
    """A table of vectors whose components are whole numbers in [-127, 127] times a step of the row.

    The step is the row's largest magnitude / 127, so that a component is off by half of it at most (Jacob et al.,
    "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018, symmetric
    and by row).

    Args:
        vectors: float [N, D].
    """

    def __init__(self, vectors: tf.Tensor, name: str = "quantised_table") -> None:
        super().__init__(name=name)
        largest = tf.reduce_max(tf.abs(vectors), axis=1, keepdims=True)
        numbers = tf.round(tf.math.divide_no_nan(vectors, largest) * _STEPS)
        self.numbers = tf.Variable(tf.cast(numbers, tf.int8), trainable=False, name="numbers")
        self.steps = tf.Variable(largest / _STEPS, trainable=False, name="steps")

    def call(self, index: tf.Tensor) -> tf.Tensor:
        """int [...] -> float [..., D]."""
        return tf.cast(tf.gather(self.numbers, index), tf.float32) * tf.gather(self.steps, index)


def quantise_tables(model: RecommenderModel) -> None:
    """Puts quantised tables in the position of a trained model's: ids of items and users, values of features.

    What is exported afterwards (embeddings, index, expected answers) is made of them.
    """
    model.candidates.ids = _quantised(model.candidates.ids)
    if model.queries.user_ids is not None:
        model.queries.user_ids = _quantised(model.queries.user_ids)
    for layer in (*model.candidates.submodules, *model.queries.submodules):
        if isinstance(layer, FeatureEncoder):
            layer.tables = {name: _quantised(table) for name, table in layer.tables.items()}


def _quantised(table: tf.keras.layers.Embedding) -> QuantisedTable:
    return QuantisedTable(table.embeddings.read_value(), name=table.name)
