"""The network that tells generated vectors from learned ones."""

from collections.abc import Sequence

import tensorflow as tf

_SMALLEST = 1e-12


class Critic(tf.keras.layers.Layer):
    """A score of a vector beside the content of its item: high for learned vectors, low for generated ones.

    Args:
        widths: of the hidden layers.
    """

    def __init__(self, widths: Sequence[int], name: str = "critic") -> None:
        super().__init__(name=name)
        self.hidden = [tf.keras.layers.Dense(w, "gelu", name=f"hidden_{i}") for i, w in enumerate(widths)]
        self.score = tf.keras.layers.Dense(1, name="score")

    def call(self, vectors: tf.Tensor, content: tf.Tensor) -> tf.Tensor:
        """float [n, D] twice -> float [n]."""
        states = tf.concat([vectors, content], axis=-1)
        for layer in self.hidden:
            states = layer(states)
        return self.score(states)[..., 0]

    def slope_penalty(
        self, learned: tf.Tensor, generated: tf.Tensor, content: tf.Tensor, share: tf.Tensor
    ) -> tf.Tensor:
        """How far the critic's slope is from 1 between a learned and a generated vector.

        Args:
            learned, generated, content: float [n, D].
            share: float [n, 1] in [0, 1], how much of each point is learned.

        Returns:
            float scalar, the mean of (|gradient| - 1) squared.
        """
        between = share * learned + (1 - share) * generated
        with tf.GradientTape() as tape:
            tape.watch(between)
            score = self(between, content)
        slope = tape.gradient(score, between)
        norm = tf.sqrt(tf.reduce_sum(slope**2, axis=-1) + _SMALLEST)
        return tf.reduce_mean((norm - 1) ** 2)
