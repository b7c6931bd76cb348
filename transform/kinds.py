"""The kinds of features beside text: numeric, time, cross and multi-valued; alike for users, events and items."""

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_transform as tft

from config.features import TIME_PARTS, Cross, Numeric, Time

_QUANTILE_ERROR = 0.001
"""The largest error of a bucket's share."""
_HOUR, _DAY = 3600, 86400
_FIRST_WEEKDAY = 3
"""1970 began on a Thursday; Monday is 0."""
_SEPARATOR = "\x1f"


def numeric(values: tf.Tensor, analysed: tf.Tensor, feature: Numeric) -> tf.Tensor:
    """Standardises numbers, or maps them to buckets of equal share; NaN and infinity are missing.

    Args:
      values: float, flat.
      analysed: float, flat: the values that mean, deviation and quantiles are taken of.
      feature: How to scale.

    Returns:
      The shape of `values`. `z_score`: float, 0 where missing. `quantile`: int64, `buckets` where missing.
    """
    known = tf.boolean_mask(analysed, tf.math.is_finite(analysed))
    if feature.scale == "z_score":
        return z_score(values, known)
    return bucket(values, known, feature.buckets)


def z_score(values: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
    """Computes (value - mean) / population deviation of `known`; 0 where missing and where `known` does not vary."""
    known = tf.cast(known, tf.float64)
    mean, deviation = tft.mean(known), tf.sqrt(tft.var(known))
    scaled = tf.math.divide_no_nan(tf.cast(values, tf.float64) - mean, deviation)
    return tf.cast(tf.where(tf.math.is_finite(scaled), scaled, tf.zeros_like(scaled)), tf.float32)


def bucket(values: tf.Tensor, known: tf.Tensor, buckets: int) -> tf.Tensor:
    """Counts the inner quantiles of `known` at or below each value; `buckets` where missing."""
    boundaries = tf.reshape(tft.quantiles(known, buckets, _QUANTILE_ERROR), [-1])
    index = tf.searchsorted(boundaries, values, side="right", out_type=tf.int64)
    return tf.where(tf.math.is_finite(values), index, tf.cast(buckets, tf.int64))


def time(values: tf.Tensor, feature: Time) -> tf.Tensor:
    """Maps times to the hour of the day, the day of the week, or the hour of the week (UTC).

    Args:
      values: int64 seconds since 1970, -1 where missing.
      feature: Which part of the time.

    Returns:
      int64, same shape: hours in [0, 24), days in [0, 7) or hours in [0, 168) from Monday on; 24, 7 or 168 where
      missing.
    """
    hour = tf.math.floormod(tf.math.floordiv(values, _HOUR), 24)
    weekday = tf.math.floormod(tf.math.floordiv(values, _DAY) + _FIRST_WEEKDAY, 7)
    part = {"hour": hour, "weekday": weekday, "hour_of_week": weekday * 24 + hour}[feature.part]
    return tf.where(tf.equal(values, -1), tf.cast(TIME_PARTS[feature.part], tf.int64), part)


def cross(columns: Sequence[tf.SparseTensor], feature: Cross) -> tf.SparseTensor:
    """Hashes the combination of the columns' values at the same index to one category.

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


def multi_valued(values: tf.SparseTensor) -> tf.SparseTensor:
    """Removes the empty values of each row of strings, sparse [B, *]."""
    return tf.sparse.retain(values, tf.not_equal(values.values, ""))
