"""How the ranking tasks share what they know of a user and an item."""

import tensorflow as tf


class HardSharing(tf.keras.layers.Layer):
    """One representation for all tasks (Caruana, "Multitask Learning", 1997).

    Args:
        dimension: D.
    """

    def __init__(self, dimension: int) -> None:
        super().__init__(name="sharing")
        self.query = tf.keras.layers.Dense(dimension, name="query")
        self.candidate = tf.keras.layers.Dense(dimension, name="candidate")

    def call(self, hidden: tf.Tensor, vectors: tf.Tensor) -> tf.Tensor:
        """Query states float [B, S] and items' vectors float [B, N, D] -> float [B, N, 3 D]."""
        candidate = self.candidate(vectors)
        query = self.query(hidden)[:, tf.newaxis] + tf.zeros_like(candidate)
        return tf.concat([query, candidate, query * candidate], axis=-1)
