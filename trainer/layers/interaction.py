"""Where a query meets a candidate, for the ranking tasks."""

from collections.abc import Mapping

import tensorflow as tf
import tensorflow_recommenders as tfrs

from config.model import ModelConfig


class Interaction(tf.keras.layers.Layer):
    """A pair of query and candidate as one vector: both projected, their product, and crosses of all these.

    With target attention, what the history says about the candidate is part of the vector too. The crosses are those
    of Wang et al., "DCN V2: Improved Deep & Cross Network" (2021), by TFRS's own layer.

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

    def call(
        self, hidden: Mapping[str, tf.Tensor], vectors: tf.Tensor, attended: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Pairs every query with every candidate.

        Args:
            hidden: query states float [B, S] by name.
            vectors: the items', float [B, N, D].
            attended: float [B, N, D], of `TargetAttention`; None without it.

        Returns:
            float [B, N, 3 D] by name; [B, N, 4 D] with target attention.
        """
        candidate, more = self.candidate(vectors), [] if attended is None else [attended]
        return {name: self._pair(state, candidate, more) for name, state in hidden.items()}

    def _pair(self, state: tf.Tensor, candidate: tf.Tensor, more: list[tf.Tensor]) -> tf.Tensor:
        query = self.query(state)[:, tf.newaxis] + tf.zeros_like(candidate)
        pair = crossed = tf.concat([query, candidate, query * candidate, *more], axis=-1)
        for cross in self.crosses:
            crossed = cross(pair, crossed)
        return crossed
