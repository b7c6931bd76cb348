"""What holds for every encoder."""

import numpy as np
import pytest
import tensorflow as tf

from config.model import ENCODERS
from tests.trainer.layers.encoders.small import draw, encoder, randomise
from trainer.layers.encoders.base import before, last_visible_before

CHANGES = {"attention with time": {"time_bias": True}}
ALL = (*ENCODERS, "attention+decay", *CHANGES)


def history(name, **changes):
    """An encoder with random weights."""
    model = encoder(name.split()[0], **CHANGES.get(name, {}), **changes)
    events, times = draw(np.random.default_rng(0), 1, 3)
    model(events, tf.ones([1, 3], tf.bool), times)
    randomise(model)
    return model


def known(model, events, visible, times):
    """What the model knows before each position."""
    return before(model(events, visible, times), last_visible_before(visible), tf.zeros([8])).numpy()


@pytest.mark.parametrize("name", ALL)
def test_an_event_is_known_only_after_it_and_only_when_visible(name):
    rng = np.random.default_rng(0)
    events, times = draw(rng, 2, 6)
    visible = tf.constant(rng.random([2, 6]) < 0.8)
    model = history(name, layers=2)
    states = known(model, events, visible, times)
    for position in range(6):
        changed, late = events.copy(), times.copy()
        changed[:, position] += rng.normal(size=8)
        late[:, position] += 1000
        difference = np.abs(known(model, changed, visible, late) - states).max(axis=-1)
        assert difference[:, : position + 1].max() < 1e-5
        if position < 5:
            assert ((difference[:, position + 1] > 1e-3) == visible[:, position].numpy()).all()


@pytest.mark.parametrize("name", ALL)
def test_an_invisible_event_between_two_changes_nothing(name):
    rng = np.random.default_rng(1)
    events, times = draw(rng, 2, 6)
    kept = [0, 1, 3, 5]
    visible = tf.constant(np.isin(np.tile(np.arange(6), [2, 1]), kept))
    model = history(name, layers=2)
    dense = model(events[:, kept], tf.ones([2, 4], tf.bool), times[:, kept])
    np.testing.assert_allclose(model(events, visible, times).numpy()[:, kept], dense, atol=1e-5)


@pytest.mark.parametrize("name", ["attention", "attention with time", "decay"])
def test_a_hidden_event_keeps_its_place_where_it_is_counted(name):
    rng = np.random.default_rng(1)
    events, times = draw(rng, 2, 6)
    hidden, model = tf.constant([[True, False, True, True, True, True]] * 2), history(name)
    counted = tf.ones([2, 6], tf.bool)
    apart = model(events, hidden, times, counted)
    close = model(events, hidden, times)
    assert np.abs(apart - close)[:, 2:].max() > 1e-3
    (alone,) = model.encoders
    np.testing.assert_array_equal(apart, model.norm(alone(events, hidden, times)))


@pytest.mark.parametrize("name", ALL)
def test_padding_at_the_front_changes_nothing(name):
    rng = np.random.default_rng(2)
    events, times = draw(rng, 1, 7)
    model = history(name)
    states = model(events[:, 3:], tf.ones([1, 4], tf.bool), times[:, 3:])
    mask = tf.constant([[False] * 3 + [True] * 4])
    np.testing.assert_allclose(model(events, mask, times)[:, 3:], states, atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_an_empty_history_and_an_empty_batch_are_finite(name):
    model = history(name)
    events, times = draw(np.random.default_rng(3), 2, 4)
    assert np.isfinite(model(events * 1e3, tf.zeros([2, 4], tf.bool), times * 0)).all()
    assert model(events[:0], tf.zeros([0, 4], tf.bool), times[:0]).shape == (0, 4, 8)


@pytest.mark.parametrize("name", ALL)
def test_every_weight_learns(name):
    model = history(name, layers=2)
    events, times = draw(np.random.default_rng(4), 2, 6)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(events, tf.ones([2, 6], tf.bool), times, training=True) ** 3)
    gradients = tape.gradient(loss, model.trainable_variables)
    assert all(isinstance(gradient, tf.Tensor) for gradient in gradients)
    still = [w.name for w, g in zip(model.trainable_variables, gradients, strict=True) if not np.abs(g).max() > 0]
    assert still == []


@pytest.mark.parametrize("name", ALL)
def test_gradients_are_the_slopes_of_the_states(name):
    rng = np.random.default_rng(6)
    events, times = draw(rng, 2, 5)
    visible, factors = tf.constant([[True, False, True, True, True]] * 2), rng.normal(size=(2, 5, 8))
    model = history(name, layers=2)

    def loss():
        return tf.reduce_sum(model(events, visible, times) * factors)

    with tf.GradientTape() as tape:
        found = loss()
    weights = model.trainable_variables
    starts, steps = [w.numpy() for w in weights], [rng.normal(size=w.shape) for w in weights]
    slope = sum(np.sum(g * step) for g, step in zip(tape.gradient(found, weights), steps, strict=True))
    sides = []
    for side in (1e-3, -1e-3):
        for weight, start, step in zip(weights, starts, steps, strict=True):
            weight.assign(start + side * step)
        sides.append(float(loss()))
    assert float(slope) == pytest.approx((sides[0] - sides[1]) / 2e-3, rel=2e-2, abs=0.1)


@pytest.mark.parametrize("name", ["mean+decay", "attention with time", "cnn+hstu", "gru+lstm", "mingru"])
def test_a_saved_model_answers_the_same_with_plain_operations(name, tmp_path):
    model, module = history(name), tf.Module()
    specs = [tf.TensorSpec([None, None, 8]), tf.TensorSpec([None] * 2, tf.bool), tf.TensorSpec([None] * 2, tf.int64)]
    call = tf.function(lambda e, v, t: model(e, v, t), specs, autograph=False)
    module.weights, module.call = model.variables, call
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    for batch, length in ((3, 6), (1, 1)):
        events, times = draw(np.random.default_rng(length), batch, length)
        visible = tf.constant(np.arange(length) % 3 != 1)[tf.newaxis] & tf.ones([batch, 1], tf.bool)
        np.testing.assert_allclose(loaded.call(events, visible, times), model(events, visible, times), atol=1e-5)
    graph = call.get_concrete_function().graph.as_graph_def()
    functions = (function.node_def for function in graph.library.function)
    operations = {node.op for nodes in (graph.node, *functions) for node in nodes}
    assert not {o for o in operations if o.startswith(("Xla", "Cudnn", "Py", "Eager"))}


@pytest.mark.parametrize("name", ALL)
def test_the_newest_state_is_the_one_at_the_last_visible_event(name):
    rng = np.random.default_rng(4)
    events, times = draw(rng, 3, 6)
    visible = tf.constant([[True] * 6, [False, True, False, True, True, False], [False] * 5 + [True]])
    model = history(name, layers=2)
    expected = model(events, visible, times).numpy()[[0, 1, 2], [5, 4, 5]]
    np.testing.assert_allclose(model(events, visible, times, newest=True)[:, 0], expected, atol=1e-5)
