"""Which events a position sees."""

import tensorflow as tf

HIDDEN = -3e4
"""Added to the attention logits of events that a position may not see: finite in 16 bits too, where a position that
sees nothing would else have a softmax of infinities, and far enough below for a weight of exactly 0."""


def causal_mask(visible: tf.Tensor) -> tf.Tensor:
    """bool [B, L] -> bool [B, L, L]: whether a position (second axis) sees an event (last axis), its own included."""
    place = tf.range(tf.shape(visible)[1])
    return (place <= place[:, tf.newaxis]) & visible[:, tf.newaxis]
