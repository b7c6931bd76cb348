"""A task's losses, added up."""

from typing import NamedTuple

import tensorflow as tf


class LossSum(NamedTuple):
    """A task's losses and weights summed over targets: float scalars."""

    loss: tf.Tensor
    weight: tf.Tensor

    @classmethod
    def of(cls, losses: tf.Tensor, weights: tf.Tensor) -> "LossSum":
        """Losses and weights, float [T]."""
        return cls(tf.reduce_sum(losses * weights), tf.reduce_sum(weights))
