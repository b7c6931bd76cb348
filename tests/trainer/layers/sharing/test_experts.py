import math

import numpy as np
import tensorflow as tf

from trainer.layers.sharing.mmoe import Experts, Gate, mixture


def gelu(x):
    return x * (1 + math.erf(x / math.sqrt(2))) / 2


def test_experts_are_dense_layers_side_by_side():
    experts = Experts(2, 1, name="experts")
    values = tf.constant([[[1.0, 2.0]]])
    experts(values)
    experts.kernel.assign([[[1.0], [3.0]], [[-2.0], [0.5]]])
    experts.bias.assign([[0.5], [0.0]])
    np.testing.assert_allclose(experts(values), [[[[gelu(-2.5)], [gelu(4.0)]]]], rtol=1e-5)


def test_an_expert_starts_within_glorots_limit():
    experts = Experts(3, 5, name="experts")
    experts(tf.zeros([1, 1, 7]))
    limit = math.sqrt(6 / (7 + 5))
    assert limit * 0.9 < np.abs(experts.kernel.numpy()).max() <= limit


def test_a_gate_is_a_softmax_and_a_mixture_weighs_by_it():
    gate = Gate(2, name="gate")
    values = tf.constant([[2.0], [0.0]])
    gate(values)
    gate.project.kernel.assign([[0.0, math.log(3) / 2]])
    weights = gate(values)
    np.testing.assert_allclose(weights, [[1 / 4, 3 / 4], [1 / 2, 1 / 2]], rtol=1e-6)
    experts = tf.constant([[[4.0, 0.0], [8.0, 4.0]]] * 2)
    np.testing.assert_allclose(mixture(experts, weights), [[7, 3], [6, 2]], rtol=1e-6)
