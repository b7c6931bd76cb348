"""What is known before each position: the newest visible event, its state, and the time since."""

import math

import tensorflow as tf

GAP_BUCKETS = 32
"""One for an unknown gap, then one second to 34 years in powers of two."""


def last_visible_before(visible: tf.Tensor) -> tf.Tensor:
    """bool [B, L] -> int32 [B, L]: the place of the last visible event before each position, -1 where there is none."""
    place = tf.range(tf.shape(visible)[1])
    is_before = (place < place[:, tf.newaxis]) & visible[:, tf.newaxis]
    return tf.reduce_max(tf.where(is_before, place, -1), axis=-1)


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
    """The values [B, L] of the events at places `last` [B, L]; 0 where that is -1."""
    return tf.where(last >= 0, tf.gather(values, tf.maximum(last, 0), batch_dims=1), tf.zeros_like(values))
