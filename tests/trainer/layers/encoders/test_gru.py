import numpy as np
import pytest
import tensorflow as tf

from trainer.layers.encoders.gru import GRUCell, gru_states, unrolled_scan

WIDTH = 3


def drawn(length, rows=2):
    rng = np.random.default_rng(length)
    shapes = {"projected": (length, rows, 3 * WIDTH), "kernel": (WIDTH, 3 * WIDTH), "bias": (WIDTH,)}
    return {name: tf.constant(rng.normal(size=shape)) for name, shape in shapes.items()}


def looped(projected, kernel, bias):
    """The states by a loop of Python, which TensorFlow differentiates."""
    state, states = tf.zeros_like(projected[0, :, :WIDTH]), []
    for event in tf.unstack(projected):
        product = tf.split(state @ kernel, 3, axis=-1)
        update, reset, candidate = tf.split(event, 3, axis=-1)
        update, reset = tf.sigmoid(update + product[0]), tf.sigmoid(reset + product[1])
        candidate = tf.tanh(candidate + reset * (product[2] + bias))
        state = update * state + (1 - update) * candidate
        states.append(state)
    return tf.stack(states)


@pytest.mark.parametrize("length", [1, 3, 4, 9])
def test_states_and_gradients_are_a_loops(length):
    inputs = drawn(length)
    upstream = tf.constant(np.random.default_rng(1).normal(size=(length, 2, WIDTH)))
    found = []
    for states_of in (gru_states, looped):
        with tf.GradientTape() as tape:
            tape.watch(list(inputs.values()))
            states = states_of(**inputs)
            loss = tf.reduce_sum(states * upstream)
        found.append([states, *tape.gradient(loss, list(inputs.values()))])
    for own, expected in zip(*found, strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-9, atol=1e-12)


def test_a_graph_of_any_length_learns_as_eager_code_does():
    cell = GRUCell(name="cell")
    cell(tf.zeros([1, 1, WIDTH]))
    events = tf.constant(np.random.default_rng(2).normal(size=(2, 7, WIDTH)), tf.float32)

    def gradients(events):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(cell(events) ** 2)
        return tape.gradient(loss, cell.trainable_weights)

    graph = tf.function(gradients, input_signature=[tf.TensorSpec([None, None, WIDTH])])
    for own, expected in zip(graph(events), gradients(events), strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("length", [1, 4, 6])
def test_a_scan_in_blocks_visits_every_element_once(length):
    found = unrolled_scan(lambda state, value, _: 10 * state + value, tf.zeros([1]), *[tf.ones([length, 1])] * 2)
    assert found[:, 0].numpy().tolist() == [int("1" * n) for n in range(1, length + 1)]
