import numpy as np
import tensorflow as tf

from trainer.stacking.session_bias import session_bias


def of(residual, observed, time, scale=60):
    found = session_bias(
        tf.constant([residual], tf.float32), tf.constant([observed], tf.bool), tf.constant([time], tf.int64), scale
    )
    assert found.shape == (1, 1)
    return float(found[0, 0])


def test_labels_of_just_now_count_most_by_hand():
    then, now = np.exp(-120 / 60), np.exp(-30 / 60)
    expected = (1.0 * then - 2.0 * now) / (then + now + 2)
    np.testing.assert_allclose(of([1.0, -2.0], [True, True], [100, 190, 220]), expected, rtol=1e-5)


def test_events_after_the_query_count_like_those_before_it():
    assert of([1.0], [True], [100, 160]) == of([1.0], [True], [160, 100])


def test_unknown_labels_and_unknown_times_say_nothing():
    known = of([1.0], [True], [100, 160])
    np.testing.assert_allclose(of([1.0, 9.0], [True, False], [100, 150, 160]), known, rtol=1e-6)
    np.testing.assert_allclose(of([9.0, 1.0], [True, True], [0, 100, 160]), known, rtol=1e-6)
    assert of([1.0], [True], [0, 100]) == 0
    assert of([], [], [100]) == 0


def test_an_unknown_now_is_that_of_the_newest_event():
    assert of([1.0, 2.0], [True, True], [100, 130, 0]) == of([1.0, 2.0], [True, True], [100, 130, 130])
    assert of([1.0, 2.0], [True, True], [0, 0, 0]) == 0
    assert of([], [], [0]) == 0


def test_events_long_ago_are_no_mood():
    assert abs(of([5.0], [True], [1, 1_000_000_000])) < 1e-6
