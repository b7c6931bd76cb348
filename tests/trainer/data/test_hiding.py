import numpy as np
import pytest
import tensorflow as tf

from config.training import HidingConfig
from tests.trainer.small import FEATURES, USERS, draw_rows, small_config, small_model, small_spec, sparse_features
from trainer.data.catalogue import missing_value
from trainer.data.hiding import Hiding
from trainer.data.windows import MASK, dense_windows
from trainer.distributed.randomness import Randomness

EVERYTHING = dict.fromkeys(HidingConfig.model_fields, 0.5)
NOTHING = dict.fromkeys(HidingConfig.model_fields, 0.0)


def config_that_hides(**shares):
    model = {**small_config().model.model_dump(), "user_id": "both"}
    return small_config(training={"hide": {**NOTHING, **shares}}, model=model)


def model_that_hides(**shares):
    return small_model(config_that_hides(**shares))


@pytest.fixture(scope="module")
def window():
    return dense_windows(sparse_features(draw_rows(5, 60)), small_spec(config_that_hides()))


def queries(model, window, training=False):
    """Of the events behind the second, which have a history with two times."""
    return model.encode(window, training=training).embedding.numpy()[:, 2:]


def without(window, model, *sections):
    names = {f.name: missing_value(f) for f in model.spec.features if f.section in sections}
    return window | {n: tf.fill(tf.shape(window[n]), tf.cast(v, window[n].dtype)) for n, v in names.items()}


@pytest.mark.parametrize("part", ["times", "outcomes"])
def test_what_is_hidden_of_a_window_is_what_a_request_leaves_out(window, part):
    model = model_that_hides(**{part: 0.5})
    lacks = {
        "times": lambda: window | {"time": tf.zeros_like(window["time"])},
        "outcomes": lambda: without(window, model, "outcome"),
    }[part]()
    whole, hidden, trained = queries(model, window), queries(model, lacks), queries(model, window, training=True)
    is_whole, is_hidden = (np.isclose(trained, q, atol=1e-5).all(axis=(1, 2)) for q in (whole, hidden))
    tells = ~np.isclose(whole, hidden, atol=1e-5).all(axis=(1, 2))
    assert (is_whole | is_hidden).all()
    assert 0.3 < is_hidden[tells].mean() < 0.7


@pytest.mark.parametrize("part", ["request_time", "user_id"])
def test_what_is_hidden_of_a_position_is_what_its_request_leaves_out(window, part):
    """A window whose own event alone lacks the part."""
    model = model_that_hides(**{part: 0.5})
    trained = model.encode(window, training=True).embedding.numpy()[:, -1]
    lacks = {
        "request_time": window | {"time": tf.concat([window["time"][:, :-1], tf.zeros([60, 1], tf.int64)], 1)},
        "user_id": window | {"user_id": tf.fill([60], tf.constant(USERS, tf.int64))},
    }[part]
    whole, hidden = (model.encode_newest(w).embedding.numpy() for w in (window, lacks))
    is_whole, is_hidden = (np.isclose(trained, q, atol=1e-5).all(axis=1) for q in (whole, hidden))
    assert (is_whole | is_hidden).all()
    assert 0.3 < is_hidden.mean() < 0.7


def test_hidden_user_features_are_missing_ones(window):
    model = model_that_hides(user=0.5)
    trained = model.encode(window, training=True).embedding.numpy()[:, -1]
    row = {
        "user_gender": tf.fill([60], tf.constant(2, tf.int64)),
        "user_tags": tf.fill([60, 1], tf.constant(-1, tf.int64)),
    }
    whole, hidden = (model.encode_newest(w).embedding.numpy() for w in (window, window | row))
    is_whole, is_hidden = (np.isclose(trained, q, atol=1e-5).all(axis=1) for q in (whole, hidden))
    assert (is_whole | is_hidden).all()
    assert 0.3 < is_hidden.mean() < 0.7


def test_the_context_of_the_history_and_that_of_the_request_are_hidden_apart(window):
    known = hiding(context=0.5)(window, training=True)
    past, moment = (values["context_device"].numpy() == 2 for values in (known.past, known.moment))
    rows = [(past[b][m].mean(), moment[b][m].mean()) for b, m in enumerate(window[MASK].numpy())]
    of_history, of_request = (np.array(shares) for shares in zip(*rows, strict=True))
    assert set(of_history) == {0.0, 1.0}
    assert ((of_request > 0) & (of_request < 1)).any()


def hiding(step=0, **shares):
    config = config_that_hides(**shares)
    return Hiding(config, FEATURES, USERS, Randomness(3, tf.Variable(step, dtype=tf.int64)))


def test_half_of_the_windows_hide_all_parts_at_once():
    """Of two parts hidden in a fifth: both in .5 x .2 + .5 x .2 x .2 = .12, a user's positions alike in the first."""
    rows = sparse_features(draw_rows(1, 1))
    window = {n: tf.repeat(v, 20_000, axis=0) for n, v in dense_windows(rows, small_spec(config_that_hides())).items()}
    known = hiding(times=0.2, outcomes=0.2, user_id=0.2)(window, training=True)
    times = known.past["time"].numpy()[:, -1] == 0
    outcomes = known.past["outcome_stars"].numpy()[:, -1] == 5
    ids = known.user_id.numpy()[:, -1] == USERS
    for part in (times, outcomes, ids):
        assert abs(part.mean() - 0.2) < 0.01
    assert abs((times & outcomes).mean() - 0.12) < 0.01
    assert abs((times & outcomes & ids).mean() - (0.5 * 0.2 + 0.5 * 0.008)) < 0.01


def test_draws_depend_on_the_step_alone(window):
    def drawn(step):
        known = hiding(step, **EVERYTHING)(window, training=True)
        return np.stack([known.past["time"], known.past["outcome_stars"], known.moment["time"], known.user_id])

    np.testing.assert_array_equal(drawn(4), drawn(4))
    assert (drawn(4) != drawn(5)).any()


def test_nothing_is_hidden_outside_training(window):
    known = hiding(**EVERYTHING)(window)
    assert all(known.past[name] is values for name, values in window.items())
    assert known.without_user is None


def test_what_the_model_does_not_read_draws_no_numbers():
    randomness = Randomness(1, tf.Variable(0, dtype=tf.int64))
    config = small_config(data={"interactions": {"path": "events.csv", "time": None}}, training={"hide": {}})
    Hiding(config, [f for f in FEATURES if f.section == "item"], USERS, randomness)
    assert randomness.new_site() == 3  # of the user's id and of what is hidden together
