"""Whether a user labels high or low just now."""

from typing import Final

import tensorflow as tf

_DAMPING: Final = 2.0
"""Labels of just now: with so many the mean is drawn half way to 0."""


def session_bias(residual: tf.Tensor, is_observed: tf.Tensor, time: tf.Tensor, scale: int) -> tf.Tensor:
    """The mean of the history's labels above what was to be expected, the nearest in time counting most.

    One of a seconds ago counts exp(-a / scale). Where the split puts later events into a history too, these count like
    earlier ones.

    Args:
        residual: float [B, L], the labels above what was to be expected.
        is_observed: bool [B, L], whose label is known.
        time: int64 [B, L + 1] seconds, the last one now; 0 where unknown. An unknown now is that of the newest event:
            most often the next follows soon.
        scale: seconds.

    Returns:
        float [B, 1], drawn to 0 where little is known.
    """
    then, now = time[:, :-1], time[:, -1:]
    now = tf.where(now > 0, now, tf.reduce_max(then, axis=1, keepdims=True))
    is_known = is_observed & (then > 0) & (now > 0)
    gap = tf.cast(tf.abs(now - then), tf.float32)
    weight = tf.where(is_known, tf.exp(-gap / scale), 0.0)
    mean = tf.reduce_sum(weight * residual, axis=1) / (tf.reduce_sum(weight, axis=1) + _DAMPING)
    return mean[:, tf.newaxis]
