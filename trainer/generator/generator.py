"""From an item's content to its vector."""

import tensorflow as tf

from pipeline.config.generator import GeneratorConfig


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
