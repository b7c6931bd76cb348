import numpy as np
import tensorflow as tf

from trainer.layers.sharing.ple import ProgressiveExtraction

STATE = tf.random.stateless_normal([2, 3, 4], [1, 2])


def test_ple_weighs_own_and_common_experts_level_by_level():
    sharing = ProgressiveExtraction(("a", "b"), experts=2, task_experts=1, levels=2, width=5)
    found, gates = sharing(STATE), {name: weight.numpy() for name, weight in sharing.gates(STATE).items()}

    def mixed(level, gate, states, sources):
        experts = np.concatenate([sharing.levels[level].experts[s](states[s]) for s in sources], axis=-2)
        counts = {"a": 1, "b": 1, "shared": 2}
        names = [f"level_{level}/{gate}/{s}_{e}" for s in sources for e in range(counts[s])]
        weights = np.stack([gates.pop(name) for name in names], axis=-1)
        np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-6)
        return np.einsum("ble,blew->blw", weights, experts)

    states = dict.fromkeys(("a", "b", "shared"), STATE.numpy())
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
        total = tf.reduce_sum(sharing(STATE)["a"])
    gradients = tape.gradient(total, sharing.levels[0].experts["b"].trainable_variables)
    assert gradients == [None, None]
