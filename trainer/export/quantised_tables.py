"""Embedding tables quantised to 8 bits, a quarter of their size."""

import tensorflow as tf

from trainer.layers.blocks import FeatureEncoder
from trainer.layers.tables import SharedRows
from trainer.model.recommender import RecommenderModel

_STEPS = 127


class QuantisedTable(tf.keras.layers.Layer):
    """A table of vectors whose components are integers in [-127, 127] times a step of the row.

    The step is the row's largest magnitude / 127, so that a component is off by at most half a step (Jacob et al.,
    "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018, symmetric
    and by row). For example, the row [12.7, -6.34, 0.04] is the integers [127, -63, 0] with the step 0.1.

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
        """Looks vectors up: int [...] -> float [..., D]."""
        return tf.cast(tf.gather(self.numbers, index), tf.float32) * tf.gather(self.steps, index)


def quantise_tables(model: RecommenderModel) -> None:
    """Replaces the embedding tables of a trained model: those of item ids, user ids and features, whatever their form.

    What is exported afterwards (embeddings, index, golden responses) is computed from the quantised tables.
    """
    done: dict[int, QuantisedTable] = {}
    model.candidates.ids = _quantised(model.candidates.ids, done)
    if model.queries.user_ids is not None:
        model.queries.user_ids = _quantised(model.queries.user_ids, done)
    for layer in (*model.candidates.submodules, *model.queries.submodules):
        if isinstance(layer, FeatureEncoder):
            layer.tables = {name: _quantised(table, done) for name, table in layer.tables.items()}


def _quantised(table: tf.keras.layers.Layer, done: dict[int, QuantisedTable]) -> tf.keras.layers.Layer:
    """Quantises a table, or the parts of one. `done` are those by the id of their layer, which several tables share."""
    if isinstance(table, SharedRows):
        table.parts = [_quantised(part, done) for part in table.parts]
        return table
    if isinstance(table, QuantisedTable):
        return table
    if id(table) not in done:
        done[id(table)] = QuantisedTable(table.embeddings.read_value(), name=table.name)
    return done[id(table)]
