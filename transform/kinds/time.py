"""Kind `time`: the hour of the day, the day of the week, or the hour of the week (UTC)."""

import tensorflow as tf

from config.features import TIME_PARTS, Time

_HOUR, _DAY = 3600, 86400
_FIRST_WEEKDAY = 3
"""1970 began on a Thursday; Monday is 0."""


def time(values: tf.Tensor, feature: Time) -> tf.Tensor:
    """Points in time to categories.

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
