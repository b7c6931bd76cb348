from datetime import UTC, datetime

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from config.features import Time
from transform.kinds import time


@given(st.lists(st.integers(0, 10**10), min_size=1))
def test_parts_agree_with_the_calendar(seconds: list[int]) -> None:
    moments = [datetime.fromtimestamp(s, UTC) for s in seconds]
    values = tf.constant(seconds, tf.int64)
    hour, weekday, slot = (
        time(values, Time(name="t", kind="time", part=part)).numpy() for part in ("hour", "weekday", "hour_of_week")
    )
    assert hour.tolist() == [m.hour for m in moments]
    assert weekday.tolist() == [m.weekday() for m in moments]
    np.testing.assert_array_equal(slot, weekday * 24 + hour)


@pytest.mark.parametrize(("seconds", "hour"), [(-1, 24), (-2, 23), (-3600, 23), (-3601, 22)])
def test_only_minus_one_is_missing(seconds: int, hour: int) -> None:
    assert time(tf.constant([seconds], tf.int64), Time(name="t", kind="time", part="hour")).numpy() == hour
