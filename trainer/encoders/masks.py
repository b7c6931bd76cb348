"""Which events a position sees."""

import tensorflow as tf

HIDDEN = -1e9
"""Added to the attention logits of events that a position may not see."""


def causal_mask(visible: tf.Tensor) -> tf.Tensor:
    """bool [B, L] -> bool [B, L, L]: whether a position (second axis) sees an event (last axis), its own included."""
    place = tf.range(tf.shape(visible)[1])
    return (place <= place[:, tf.newaxis]) & visible[:, tf.newaxis]
