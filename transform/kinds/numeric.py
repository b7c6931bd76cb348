"""Kind `numeric`: standardised, or cut into buckets of equal share. NaN and infinity are missing."""

import tensorflow as tf
import tensorflow_transform as tft

from config.features import Numeric

_QUANTILE_ERROR = 0.001
"""By how much a bucket's share may be off."""


def numeric(values: tf.Tensor, analysed: tf.Tensor, feature: Numeric) -> tf.Tensor:
    """Numbers to standardised numbers or to buckets.

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
    """(value - mean) / population deviation of `known`, 0 where missing and where `known` does not vary."""
    known = tf.cast(known, tf.float64)
    mean, deviation = tft.mean(known), tf.sqrt(tft.var(known))
    scaled = tf.math.divide_no_nan(tf.cast(values, tf.float64) - mean, deviation)
    return tf.cast(tf.where(tf.math.is_finite(scaled), scaled, tf.zeros_like(scaled)), tf.float32)


def bucket(values: tf.Tensor, known: tf.Tensor, buckets: int) -> tf.Tensor:
    """The number of inner quantiles of `known` at or below each value; `buckets` where missing."""
    boundaries = tf.reshape(tft.quantiles(known, buckets, _QUANTILE_ERROR), [-1])
    index = tf.searchsorted(boundaries, values, side="right", out_type=tf.int64)
    return tf.where(tf.math.is_finite(values), index, tf.cast(buckets, tf.int64))
