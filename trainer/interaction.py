"""Where a query meets a candidate, for the ranking tasks."""

from collections.abc import Mapping

import tensorflow as tf
import tensorflow_recommenders as tfrs

from pipeline.config.model import ModelConfig


class Interaction(tf.keras.layers.Layer):
    """A pair of query and candidate as one vector: both projected, their product, and crosses of all these.

    The crosses are those of Wang et al., "DCN V2: Improved Deep & Cross Network" (2021), by TFRS's own layer.

    Args:
        config: `dimension` D, `cross_layers` and `cross_rank`.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(name="interaction")
        self.query = tf.keras.layers.Dense(config.dimension, name="query")
        self.candidate = tf.keras.layers.Dense(config.dimension, name="candidate")
        self.crosses = [
            tfrs.layers.dcn.Cross(projection_dim=config.cross_rank, name=f"cross_{i}")
            for i in range(config.cross_layers)
        ]

    def call(self, hidden: Mapping[str, tf.Tensor], vectors: tf.Tensor) -> dict[str, tf.Tensor]:
        """Query states float [B, S] by name and items' vectors float [B, N, D] -> float [B, N, 3 D] by name."""
        candidate = self.candidate(vectors)
        return {name: self._pair(state, candidate) for name, state in hidden.items()}

    def _pair(self, state: tf.Tensor, candidate: tf.Tensor) -> tf.Tensor:
        query = self.query(state)[:, tf.newaxis] + tf.zeros_like(candidate)
        pair = crossed = tf.concat([query, candidate, query * candidate], axis=-1)
        for cross in self.crosses:
            crossed = cross(pair, crossed)
        return crossed
