import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.small import draw_rows, encoder_config, small_model, sparse_features
from trainer.data.windows import MASK, dense_windows
from trainer.distributed.randomness import BlankHistory, Randomness


@pytest.fixture(scope="module")
def model():
    return small_model(encoder_config("attention", blank=0.5, max_events=8))


@pytest.fixture(scope="module")
def window(model):
    return dense_windows(sparse_features(draw_rows(5, 20)), model.spec)


def queries(model, window, training=False):
    return model.encode(window, training=training).embedding.numpy()[window[MASK].numpy()]


def test_a_position_sees_its_whole_history_or_what_a_user_without_one_would(model, window):
    """The other positions see all the same: their histories hold no gap where one is blank."""
    whole, trained = queries(model, window), queries(model, window, training=True)
    blank = queries(model, {**window, "is_positive": tf.zeros_like(window[MASK])})
    is_whole, is_blank = (np.isclose(trained, q, atol=1e-5).all(axis=1) for q in (whole, blank))
    assert (is_whole | is_blank).all()
    has_history = ~np.isclose(whole, blank, atol=1e-5).all(axis=1)
    assert 0.3 < is_blank[has_history].mean() < 0.7


def test_the_ranking_tasks_attend_nothing_of_a_blank_history(model, window):
    whole = model.encode(window).history.sees.numpy()
    trained = model.encode(window, training=True).history.sees.numpy()
    assert not (trained & ~whole).any()
    full, has = whole.any(axis=2), trained.any(axis=2)
    assert (trained == whole)[has].all()
    assert 0.3 < has[full].mean() < 0.7


def test_nothing_is_blank_outside_training(window):
    plain = small_model(encoder_config("attention", max_events=8))
    blank = small_model(encoder_config("attention", blank=0.5, max_events=8))
    np.testing.assert_allclose(queries(blank, window), queries(plain, window), atol=1e-6)


def test_no_blank_draws_no_numbers():
    randomness = Randomness(1, tf.Variable(0, dtype=tf.int64))
    BlankHistory(0.0, randomness)
    assert randomness.new_site() == 1
