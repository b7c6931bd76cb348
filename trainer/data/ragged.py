"""Single values of ragged rows."""

import tensorflow as tf


def values_at(values: tf.RaggedTensor, row: tf.Tensor, position: tf.Tensor, default: int) -> tf.Tensor:
    """Looks up values: of [[4, 6], [9]], those at the positions [1, 1] of the rows [0, 1] are [6, default]."""
    is_there = position < tf.gather(values.row_lengths(), row)
    padded = tf.concat([values.flat_values, tf.constant([default], tf.int64)], axis=0)
    index = tf.gather(values.row_starts(), row) + position
    return tf.gather(padded, tf.where(is_there, index, tf.size(values.flat_values, tf.int64)))


def newest_values(values: tf.RaggedTensor) -> tf.Tensor:
    """Returns the last value of each row, -1 where there is none: [[4, 6], [], [9]] -> int64 [6, -1, 9]."""
    flat = values.flat_values
    flat = tf.cast(tf.bitcast(flat, tf.int32) if flat.dtype == tf.float32 else flat, tf.int64)
    padded = tf.concat([tf.constant([-1], tf.int64), flat], axis=0)
    return tf.gather(padded, tf.where(values.row_lengths() > 0, values.row_limits(), 0))
