import numpy as np
import tensorflow as tf

from trainer.layers.sharing.mmoe import MixtureOfExperts

STATE = tf.random.stateless_normal([2, 3, 4], [1, 2])


def test_an_mmoe_state_is_the_experts_weighed_by_the_tasks_gate():
    sharing = MixtureOfExperts(("a", "b"), experts=3, width=5)
    states, gates = sharing(STATE), sharing.gates(STATE)
    experts = sharing.experts(STATE).numpy()
    for task in "ab":
        weights = np.stack([gates[f"{task}/expert_{e}"] for e in range(3)], axis=-1)
        np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-6)
        np.testing.assert_allclose(states[task], np.einsum("ble,blew->blw", weights, experts), rtol=1e-5, atol=1e-6)
