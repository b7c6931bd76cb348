"""Kind `cross`: the combination of several columns, hashed."""

from collections.abc import Sequence

import tensorflow as tf

from config.features import Cross

_SEPARATOR = "\x1f"


def cross(columns: Sequence[tf.SparseTensor], feature: Cross) -> tf.SparseTensor:
    """The columns' values at the same row and position, as one category.

    Args:
      columns: string, each sparse [B, *]; "" or absent is missing.
      feature: The number of buckets.

    Returns:
      int64 in [0, buckets], sparse [B, *], with a value wherever a column has one: a hash of the values (a missing
      one counts as a value of its own), `buckets` where all are missing.
    """
    width = tf.reduce_max(tf.stack([c.dense_shape[1] for c in columns]))
    dense = [_dense(c, width) for c in columns]
    has_position = tf.reduce_any(
        [_dense(c.with_values(tf.ones_like(c.values, tf.bool)), width) for c in columns], axis=0
    )
    positions = tf.where(has_position)
    values = [tf.gather_nd(d, positions) for d in dense]
    buckets = tf.strings.to_hash_bucket_fast(tf.strings.join(values, _SEPARATOR), feature.buckets)
    is_missing = tf.reduce_all([tf.equal(v, "") for v in values], axis=0)
    indexes = tf.where(is_missing, tf.cast(feature.buckets, tf.int64), buckets)
    return tf.SparseTensor(positions, indexes, tf.stack([columns[0].dense_shape[0], width]))


def _dense(column: tf.SparseTensor, width: tf.Tensor) -> tf.Tensor:
    shape = tf.stack([column.dense_shape[0], width])
    default = "" if column.dtype == tf.string else False
    return tf.sparse.to_dense(tf.SparseTensor(column.indices, column.values, shape), default)
