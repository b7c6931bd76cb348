import numpy as np
import tensorflow as tf

from tests.trainer.small import small_config
from trainer.layers.sharing import make_sharing

STATE = tf.random.stateless_normal([2, 3, 4], [1, 2])


def test_hard_sharing_has_no_weights_and_one_state():
    sharing = make_sharing(small_config())
    states = sharing(STATE)
    assert sharing.variables == []
    assert sharing.gates(STATE) == {}
    assert {sharing.state_of(task) for task in ("retrieval", "rating", "like")} == set(states)
    np.testing.assert_array_equal(states[sharing.state_of("like")], STATE)
