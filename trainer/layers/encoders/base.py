"""What every encoder of the history answers."""

import math
from abc import abstractmethod

import tensorflow as tf


class Encoder(tf.keras.layers.Layer):
    """Makes a state of the visible events up to each position. Causal: a state sees nothing behind its position."""

    @abstractmethod
    def call(self, events: tf.Tensor, visible: tf.Tensor, times: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The states at all positions.

        Args:
            events: float [B, L, D].
            visible: bool [B, L].
            times: int64 [B, L], seconds since 1970; 0 where unknown.

        Returns:
            float [B, L, D]; only visible positions have a meaning.
        """

    def newest(self, events: tf.Tensor, visible: tf.Tensor, times: tf.Tensor) -> tf.Tensor:
        """As `call` outside training at the last position alone: float [B, D]. An encoder may have a shorter way to it."""
        return self(events, visible, times)[:, -1]


HIDDEN = -3e4
"""Added to the attention logits of events that a position may not see: finite in 16 bits too, where a position that
sees nothing would else have a softmax of infinities, and far enough below for a weight of exactly 0."""


def causal_mask(visible: tf.Tensor) -> tf.Tensor:
    """bool [B, L] -> bool [B, L, L]: whether a position (second axis) sees an event (last axis), its own included."""
    position = tf.range(tf.shape(visible)[1])
    return (position <= position[:, tf.newaxis]) & visible[:, tf.newaxis]


GAP_BUCKETS = 32
"""One for an unknown gap, then one second to 34 years in powers of two."""


def last_visible_before(visible: tf.Tensor) -> tf.Tensor:
    """bool [B, L] -> int32 [B, L]: the position of the last visible event before each position, -1 where there is none."""
    position = tf.range(tf.shape(visible)[1])
    is_before = (position < position[:, tf.newaxis]) & visible[:, tf.newaxis]
    return tf.reduce_max(tf.where(is_before, position, -1), axis=-1)


def before(states: tf.Tensor, last: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """What is known before each position.

    Args:
        states: float [B, L, D], an encoder's.
        last: int32 [B, L], `last_visible_before`.
        start: float [D], where there is no history.

    Returns:
        float [B, L, D].
    """
    rows = tf.shape(states)[0]
    first = tf.tile(start[tf.newaxis, tf.newaxis], [rows, 1, 1])
    return tf.gather(tf.concat([first, states], axis=1), last + 1, batch_dims=1)


def gap_buckets(times: tf.Tensor, earlier: tf.Tensor, buckets: int) -> tf.Tensor:
    """The time between two events in powers of two.

    Args:
        times, earlier: int64 seconds, 0 where unknown.
        buckets: B.

    Returns:
        int32: 0 where a time is unknown; else 1 + floor(log2(1 + seconds)), B - 1 at most.
    """
    gap = tf.cast(tf.maximum(times - earlier, 0), tf.float64)
    bucket = 1 + tf.cast(tf.floor(tf.math.log1p(gap) / math.log(2.0) + 1e-12), tf.int32)
    is_known = (times > 0) & (earlier > 0)
    return tf.where(is_known, tf.minimum(bucket, buckets - 1), 0)


def lagged(values: tf.Tensor, last: tf.Tensor) -> tf.Tensor:
    """The values [B, L] of the events at positions `last` [B, L]; 0 where that is -1."""
    return tf.where(last >= 0, tf.gather(values, tf.maximum(last, 0), batch_dims=1), tf.zeros_like(values))
