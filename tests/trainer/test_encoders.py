import math

import numpy as np
import pytest
import tensorflow as tf

from pipeline.config.model import HistoryConfig
from trainer.encoders import (
    AttentionEncoder,
    DecayEncoder,
    HistoryEncoder,
    MeanEncoder,
    before,
    gap_buckets,
    lagged,
    last_visible_before,
)
from trainer.randomness import Randomness

EVENTS = tf.constant([[[1.0, 0.0], [3.0, 2.0], [5.0, 1.0]]])
VISIBLE = tf.constant([[True, False, True]])
ALL = ("mean", "decay", "attention", "attention+decay")


def randomness():
    return Randomness(1, tf.Variable(0, dtype=tf.int64))


def encoder(name, **changes):
    return HistoryEncoder(HistoryConfig(encoder=name, max_events=8, dropout=0, **changes), randomness())


def test_the_mean_is_of_the_visible_events_so_far():
    found = MeanEncoder()(EVENTS, VISIBLE)
    np.testing.assert_allclose(found, [[[1, 0], [1, 0], [3, 0.5]]])


def test_the_mean_of_nothing_is_zero():
    np.testing.assert_allclose(MeanEncoder()(EVENTS, tf.zeros_like(VISIBLE)), np.zeros([1, 3, 2]))


def test_decay_weighs_an_event_by_the_rate_to_the_power_of_the_events_since():
    decay = DecayEncoder(2)
    decay(EVENTS, VISIBLE)
    decay.log_rate.assign([math.log(-math.log(0.5)), math.log(-math.log(0.25))])
    decay.mix.kernel.assign([[1, 0], [0, 1], [10, 0], [0, 10]])
    half, quarter = np.array([0.5 + 5, 1.0]) / 1.5, np.array([0.25 + 5, 1.0]) / 1.25
    np.testing.assert_allclose(decay.rates(), [0.5, 0.25], rtol=1e-6)
    found = decay(EVENTS, VISIBLE)
    np.testing.assert_allclose(found, [[[11, 0], [11, 0], half + 10 * quarter]], rtol=1e-5)


def test_decay_rates_start_between_fast_and_slow():
    decay = DecayEncoder(4)
    decay(EVENTS, VISIBLE)
    rates = decay.rates().numpy()
    np.testing.assert_allclose([rates[0], rates[-1]], [0.35, 0.995], rtol=1e-5)
    assert (np.diff(rates) > 0).all()


def test_attention_by_hand():
    attention = AttentionEncoder(HistoryConfig(heads=1, layers=1, dropout=0, max_events=3), randomness())
    attention(EVENTS, VISIBLE)
    (block,) = attention.blocks
    value_only = np.concatenate([np.zeros([2, 4]), np.eye(2)], axis=1)
    block.project.kernel.assign(value_only)
    block.output_projection.kernel.assign(np.eye(2))
    block.contract.kernel.assign(np.zeros([4, 2]))
    block.distance_bias.assign([[0.0, 9.0, math.log(3)]])
    # The norm of two values is +1 and -1 in their order; at the last place its own event weighs 1, the first one 3.
    norm = np.array([[1, -1], [1, -1], [1, -1]])
    np.testing.assert_allclose(attention(EVENTS, VISIBLE), (EVENTS + norm), atol=1e-4)
    events = tf.constant([[[0.0, 1.0], [3.0, 2.0], [5.0, 1.0]]])
    expected_last = np.array([5, 1]) + (3 * np.array([-1, 1]) + np.array([1, -1])) / 4
    np.testing.assert_allclose(attention(events, VISIBLE)[0, 2], expected_last, atol=1e-4)


def test_attention_needs_a_dimension_that_the_heads_divide():
    attention = AttentionEncoder(HistoryConfig(heads=3), randomness())
    with pytest.raises(ValueError, match=r"multiple of `heads`. Received: 2 and 3"):
        attention(EVENTS, VISIBLE)


def known(model, events, visible):
    """What the model knows before each place."""
    return before(model(events, visible), last_visible_before(visible), tf.zeros([8])).numpy()


@pytest.mark.parametrize("name", ALL)
def test_an_event_is_known_only_after_it(name):
    rng = np.random.default_rng(0)
    events = rng.normal(size=[2, 6, 8]).astype(np.float32)
    visible = tf.constant(rng.random([2, 6]) < 0.8)
    model = encoder(name, layers=2)
    states = known(model, events, visible)
    for place in range(6):
        changed = events.copy()
        changed[:, place] += rng.normal(size=8)
        difference = np.abs(known(model, changed, visible) - states).max(axis=-1)
        assert difference[:, : place + 1].max() < 1e-5
        if place < 5:
            assert ((difference[:, place + 1] > 1e-3) == visible[:, place].numpy()).all()


@pytest.mark.parametrize("name", ALL)
def test_padding_at_the_front_changes_nothing(name):
    rng = np.random.default_rng(2)
    events = rng.normal(size=[1, 4, 8]).astype(np.float32)
    model = encoder(name)
    states = model(events, tf.ones([1, 4], tf.bool))
    padded = np.concatenate([rng.normal(size=[1, 3, 8]), events], axis=1).astype(np.float32)
    mask = tf.constant([[False] * 3 + [True] * 4])
    np.testing.assert_allclose(model(padded, mask)[:, 3:], states, atol=1e-5)


def test_the_last_visible_event_before_each_place():
    assert last_visible_before(VISIBLE).numpy().tolist() == [[-1, 0, 0]]
    assert last_visible_before(tf.constant([[False, True, True]])).numpy().tolist() == [[-1, -1, 1]]


def test_a_place_knows_the_state_of_the_last_visible_event():
    found = before(EVENTS, tf.constant([[-1, 0, 0]]), tf.constant([7.0, 8.0]))
    np.testing.assert_array_equal(found, [[[7, 8], [1, 0], [1, 0]]])


def test_lagged_values():
    found = lagged(tf.constant([[4, 5, 6]], tf.int64), tf.constant([[-1, 0, 0]]))
    assert found.numpy().tolist() == [[0, 4, 4]]


@pytest.mark.parametrize(
    ("gap", "bucket"), [(0, 1), (1, 2), (2, 2), (3, 3), (7, 4), (8, 4), (2**20 - 1, 21), (2**40, 31), (-5, 1)]
)
def test_gaps_fall_into_powers_of_two(gap, bucket):
    found = gap_buckets(tf.constant([[10**6 + gap]], tf.int64), tf.constant([[10**6]], tf.int64), 32)
    assert found.numpy().tolist() == [[bucket]]


def test_a_gap_to_an_unknown_time_is_unknown():
    times, earlier = tf.constant([[0, 5]], tf.int64), tf.constant([[5, 0]], tf.int64)
    assert gap_buckets(times, earlier, 32).numpy().tolist() == [[0, 0]]
