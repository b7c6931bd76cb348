from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from config.model import HistoryConfig
from tests.trainer.layers.encoders.small import draw, randomise, randomness, sigmoid
from trainer.layers.encoders.gru import GRUCell
from trainer.layers.encoders.recurrent import LSTMCell, MinGRUCell, RecurrentEncoder, linear_recurrence

VISIBLE = tf.constant([[True, False, True, True], [False, True, False, True]])


def gru(cell, events):
    """The state after each of the events [L, D]."""
    kernel, bias = (weight.numpy() for weight in cell.project.weights)
    states, output = [], np.zeros(events.shape[1])
    for event in events:
        update, reset, candidate = np.split(event @ kernel + bias, 3)
        r_update, r_reset, r_candidate = np.split(output @ cell.recurrent_kernel.numpy(), 3)
        update, reset = sigmoid(update + r_update), sigmoid(reset + r_reset)
        candidate = np.tanh(candidate + reset * (r_candidate + cell.recurrent_bias.numpy()))
        output = update * output + (1 - update) * candidate
        states.append(output)
    return np.array(states)


def lstm(cell, events):
    """As `gru`."""
    kernel, bias = cell.kernel.numpy(), cell.bias.numpy()
    states, output, memory = [], np.zeros(events.shape[1]), np.zeros(events.shape[1])
    for event in events:
        gates = np.split(event @ kernel + bias + output @ cell.recurrent_kernel.numpy(), 4)
        take, keep, show = (sigmoid(gates[gate]) for gate in (0, 2, 3))
        memory = keep * memory + take * np.tanh(gates[1])
        output = show * np.tanh(memory)
        states.append(output)
    return np.array(states)


def mingru(cell, events):
    """As `gru`."""
    kernel, bias = (weight.numpy() for weight in cell.project.weights)
    states, output = [], np.zeros(events.shape[1])
    for event in events:
        gate, candidate = np.split(event @ kernel + bias, 2)
        output = sigmoid(gate) * output + (1 - sigmoid(gate)) * np.tanh(candidate)
        states.append(output)
    return np.array(states)


CELLS = [(GRUCell, gru), (LSTMCell, lstm), (partial(MinGRUCell, 4), mingru)]


@pytest.mark.parametrize(("cell", "recurrence"), CELLS)
@pytest.mark.parametrize("layers", [1, 2])
def test_the_recurrence_skips_what_is_not_visible(cell, recurrence, layers):
    encoder = RecurrentEncoder(cell, HistoryConfig(layers=layers, dropout=0), randomness(), "recurrent")
    events, times = draw(np.random.default_rng(1), 2, 4, dimension=3)
    encoder(events, VISIBLE, times)
    randomise(encoder)
    found = encoder(events, VISIBLE, times)
    for row, visible in enumerate(VISIBLE.numpy()):
        states = events[row, visible]
        for layer in encoder.cells:
            states = recurrence(layer, states)
        np.testing.assert_allclose(found[row].numpy()[visible], states, atol=1e-5)
    np.testing.assert_array_equal(found[0, 1], found[0, 0])
    np.testing.assert_array_equal(found[1, 0], np.zeros(3))


@pytest.mark.parametrize(("make_cell", "recurrence"), CELLS)
def test_gradients_are_the_slopes_of_the_recurrence(make_cell, recurrence):
    rng = np.random.default_rng(2)
    events, factors = rng.normal(size=(2, 1, 4, 3)).astype(np.float32)
    cell = make_cell(name="cell")
    cell(events)
    randomise(cell)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(cell(tf.constant(events)) * factors)
    for weight, gradient in zip(cell.weights, tape.gradient(loss, cell.weights), strict=True):
        start, step = weight.numpy(), rng.normal(size=weight.shape)
        sides = []
        for side in (0.01, -0.01):
            weight.assign(start + side * step)
            sides.append((recurrence(cell, events[0].astype(np.float64)) * factors[0]).sum())
        weight.assign(start)
        assert np.sum(gradient * step) == pytest.approx((sides[0] - sides[1]) / 0.02, rel=1e-2, abs=1e-3), weight.name


def test_the_forget_gate_starts_open():
    cell = LSTMCell(name="cell")
    cell(tf.zeros([1, 1, 2]))
    assert cell.bias.numpy().tolist() == [0, 0, 0, 0, 1, 1, 0, 0]


@pytest.mark.parametrize("length", [1, 2, 7, 8, 9])
def test_a_linear_recurrence_is_what_a_loop_makes(length):
    rng = np.random.default_rng(length)
    keep, add = rng.random((2, length, 3)), rng.normal(size=(2, length, 3))
    state, expected = np.zeros((2, 3)), []
    for position in range(length):
        state = keep[:, position] * state + add[:, position]
        expected.append(state)
    found = linear_recurrence(tf.constant(keep), tf.constant(add), 9)
    np.testing.assert_allclose(found, np.stack(expected, axis=1), rtol=1e-9)
