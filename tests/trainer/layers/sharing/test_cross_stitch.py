import numpy as np
import pytest
import tensorflow as tf

from trainer.layers.sharing.cross_stitch import CrossStitch

STATE = tf.random.stateless_normal([2, 3, 4], [1, 2])


def test_cross_stitch_with_identities_is_separate_towers():
    sharing = CrossStitch(("a", "b"), levels=2, width=5)
    sharing(STATE)
    for stitch in sharing.stitches:
        stitch.assign(tf.eye(2))
    for task, state in sharing(STATE).items():
        values = STATE
        for layer in sharing.towers[task]:
            values = layer(values)
        np.testing.assert_allclose(state, values, rtol=1e-6)


def test_cross_stitch_mixes_the_tasks_activations():
    sharing = CrossStitch(("a", "b", "c"), levels=1, width=5)
    towers = [sharing.towers[task][0](STATE) for task in sharing.tasks]
    states = sharing(STATE)
    np.testing.assert_allclose(states["b"], 0.05 * towers[0] + 0.9 * towers[1] + 0.05 * towers[2], rtol=1e-5, atol=1e-7)
    gates = {name: float(weight[0, 0]) for name, weight in sharing.gates(STATE).items()}
    assert gates["level_0/b/b"] == pytest.approx(0.9)
    assert gates["level_0/b/a"] == pytest.approx(0.05)
