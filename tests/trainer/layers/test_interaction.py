import numpy as np
import tensorflow as tf

from config.model import ModelConfig
from trainer.layers.interaction import Interaction

STATE = {"like": tf.constant([[1.0, 2.0]])}
ITEMS = tf.constant([[[3.0], [4.0]]])


def made(**changes):
    """The query is projected to the sum of its values, the candidate to its double."""
    layer = Interaction(ModelConfig(dimension=1, **changes))
    layer(STATE, ITEMS)
    layer.query.kernel.assign([[1.0], [1.0]])
    layer.candidate.kernel.assign([[2.0]])
    return layer


def test_a_pair_is_query_candidate_and_product():
    np.testing.assert_allclose(made()(STATE, ITEMS)["like"], [[[3, 6, 18], [3, 8, 24]]])


def test_what_the_history_says_joins_the_pair():
    layer = Interaction(ModelConfig(dimension=1))
    assert layer(STATE, ITEMS, tf.constant([[[7.0], [8.0]]]))["like"][0, :, 3].numpy().tolist() == [7, 8]


def test_a_cross_layer_multiplies_the_pair_by_a_linear_map_of_itself():
    layer = made(cross_layers=2)
    for cross in layer.crosses:
        cross._dense.kernel.assign(np.eye(3)[[1, 2, 0]])
        cross._dense.bias.assign([1.0, 0.0, 0.0])
    start = np.array([3.0, 6.0, 18.0])
    first = start * (start[[2, 0, 1]] + [1, 0, 0]) + start
    second = start * (first[[2, 0, 1]] + [1, 0, 0]) + first
    np.testing.assert_allclose(layer(STATE, ITEMS)["like"][0, 0], second, rtol=1e-6)


def test_a_low_rank_cross_has_few_weights():
    (cross,) = made(cross_layers=1, cross_rank=1).crosses
    assert sum(int(tf.size(v)) for v in cross.trainable_variables) == 3 + 3 + 3


def test_every_state_meets_every_candidate():
    found = made()({"like": STATE["like"], "buy": 2 * STATE["like"]}, ITEMS)
    np.testing.assert_allclose(found["buy"], [[[6, 6, 36], [6, 8, 48]]])
    np.testing.assert_allclose(found["like"], [[[3, 6, 18], [3, 8, 24]]])
