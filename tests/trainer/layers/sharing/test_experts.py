import math

import numpy as np
import tensorflow as tf

from trainer.layers.sharing.experts import Experts, Gate, MixtureOfExperts, ProgressiveExtraction, mixture


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


MMOE_STATE = tf.random.stateless_normal([2, 3, 4], [1, 2])


def test_an_mmoe_state_is_the_experts_weighed_by_the_tasks_gate():
    sharing = MixtureOfExperts(("a", "b"), experts=3, width=5)
    states, gates = sharing(MMOE_STATE), sharing.gates(MMOE_STATE)
    experts = sharing.experts(MMOE_STATE).numpy()
    for task in "ab":
        weights = np.stack([gates[f"{task}/expert_{e}"] for e in range(3)], axis=-1)
        np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-6)
        np.testing.assert_allclose(states[task], np.einsum("ble,blew->blw", weights, experts), rtol=1e-5, atol=1e-6)


PLE_STATE = tf.random.stateless_normal([2, 3, 4], [1, 2])


def test_ple_weighs_own_and_common_experts_level_by_level():
    sharing = ProgressiveExtraction(("a", "b"), experts=2, task_experts=1, levels=2, width=5)
    found, gates = sharing(PLE_STATE), {name: weight.numpy() for name, weight in sharing.gates(PLE_STATE).items()}

    def mixed(level, gate, states, sources):
        experts = np.concatenate([sharing.levels[level].experts[s](states[s]) for s in sources], axis=-2)
        counts = {"a": 1, "b": 1, "shared": 2}
        names = [f"level_{level}/{gate}/{s}_{e}" for s in sources for e in range(counts[s])]
        weights = np.stack([gates.pop(name) for name in names], axis=-1)
        np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-6)
        return np.einsum("ble,blew->blw", weights, experts)

    states = dict.fromkeys(("a", "b", "shared"), PLE_STATE.numpy())
    states = {
        "a": mixed(0, "a", states, ("a", "shared")),
        "b": mixed(0, "b", states, ("b", "shared")),
        "shared": mixed(0, "shared", states, ("a", "b", "shared")),
    }
    for task in "ab":
        np.testing.assert_allclose(found[task], mixed(1, task, states, (task, "shared")), rtol=1e-5, atol=1e-6)
    assert set(found) == {"a", "b"}
    assert gates == {}


def test_another_tasks_own_experts_do_not_reach_a_ple_task_of_one_level():
    sharing = ProgressiveExtraction(("a", "b"), experts=2, task_experts=1, levels=1, width=5)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(sharing(PLE_STATE)["a"])
    gradients = tape.gradient(total, sharing.levels[0].experts["b"].trainable_variables)
    assert gradients == [None, None]
