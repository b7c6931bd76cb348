"""The interface of the encoders, and the positions and times of the events that they read."""

import math
from abc import abstractmethod

import tensorflow as tf


class Encoder(tf.keras.layers.Layer):
    """Encodes the visible events up to each position. Causal: a state sees no event behind its position."""

    @abstractmethod
    def call(
        self, events: tf.Tensor, visible: tf.Tensor, times: tf.Tensor, training: bool = False, newest: bool = False
    ) -> tf.Tensor:
        """Computes the states.

        Args:
            events: float [B, L, D].
            visible: bool [B, L].
            times: int64 [B, L], seconds since 1970; 0 where unknown.
            training: Whether to apply dropout.
            newest: Whether only the state at the last position is read. Serving reads no other, so an encoder that can
                compute it for less does so and returns it alone.

        Returns:
            float [B, L, D], or [B, 1, D] of the last position; states at positions that are not visible are undefined.
        """


HIDDEN = -3e4
"""Added to the attention logits of events that a position may not see: finite in 16 bits too, where a softmax over
minus infinities would be NaN, and low enough for a weight of exactly 0."""


def causal_mask(visible: tf.Tensor) -> tf.Tensor:
    """Returns whether a position (second axis) sees an event (last axis) up to it: bool [B, L] to bool [B, L, L]."""
    position = tf.range(tf.shape(visible)[1])
    return (position <= position[:, tf.newaxis]) & visible[:, tf.newaxis]


GAP_BUCKETS = 32
"""One for an unknown gap, then one second to 34 years in powers of two."""


def last_visible_before(visible: tf.Tensor) -> tf.Tensor:
    """Finds the last visible event before each position.

    Example:
        visible [1, 0, 1, 0] gives [-1, 0, 0, 2].

    Args:
        visible: bool [B, L].

    Returns:
        int32 [B, L], -1 where there is none.
    """
    position = tf.range(tf.shape(visible)[1])
    is_before = (position < position[:, tf.newaxis]) & visible[:, tf.newaxis]
    return tf.reduce_max(tf.where(is_before, position, -1), axis=-1)


def before(states: tf.Tensor, last: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """Selects the state before each position.

    Args:
        states: float [B, L, D], an encoder's.
        last: int32 [B, L], `last_visible_before`.
        start: float [D], where there is no history.

    Returns:
        float [B, L, D].
    """
    first = tf.tile(start[tf.newaxis, tf.newaxis], [tf.shape(states)[0], 1, 1])
    return tf.gather(tf.concat([first, states], axis=1), last + 1, batch_dims=1)


def gap_buckets(times: tf.Tensor, earlier: tf.Tensor, buckets: int) -> tf.Tensor:
    """Buckets the time between two events by powers of two.

    Args:
        times: int64 seconds, 0 where unknown.
        earlier: int64 seconds, 0 where unknown.
        buckets: The number of buckets.

    Returns:
        int32: 0 where a time is unknown; else 1 + floor(log2(1 + seconds)), `buckets` - 1 at most.
    """
    gap = tf.cast(tf.maximum(times - earlier, 0), tf.float64)
    bucket = 1 + tf.cast(tf.floor(tf.math.log1p(gap) / math.log(2.0) + 1e-12), tf.int32)
    is_known = (times > 0) & (earlier > 0)
    return tf.where(is_known, tf.minimum(bucket, buckets - 1), 0)


def lagged(values: tf.Tensor, last: tf.Tensor) -> tf.Tensor:
    """Returns the values [B, L] of the events at positions `last` [B, L]; 0 where that is -1."""
    return tf.where(last >= 0, tf.gather(values, tf.maximum(last, 0), batch_dims=1), tf.zeros_like(values))
