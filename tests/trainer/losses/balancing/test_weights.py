import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.trainer.losses.balancing.toy import (
    LOSSES,
    PRIORITIES,
    ROWS,
    TASKS,
    Toy,
    assert_gradients,
    gradients_of,
    weights,
)


def test_fixed_weights_are_the_tasks():
    toy = Toy("fixed")
    assert float(toy.balancing.total(LOSSES)) == 4 + 0.5 * 3 + 0.5
    assert weights(toy.balancing).tolist() == [1, 0.5, 1]
    assert toy.balancing.variables == []
    assert_gradients(toy.gradients(ROWS), gradients_of(toy, PRIORITIES))


def test_uncertainty_is_the_likelihood_under_the_learned_noise():
    toy = Toy("uncertainty")
    toy.balancing.log_variance.assign([0.2, -0.4, 1.0])
    terms = [math.exp(-0.2) * 4 + 0.1, 0.5 * (math.exp(0.4) * 3 / 2 - 0.2), math.exp(-1) * 0.5 + 0.5]
    assert float(toy.balancing.total(LOSSES)) == pytest.approx(sum(terms))
    np.testing.assert_allclose(weights(toy.balancing), [math.exp(-0.2), math.exp(0.4) / 4, math.exp(-1)], rtol=1e-6)
    losses = [float(loss) for loss in toy.losses(ROWS).values()]
    slopes = [0.5 - math.exp(-0.2) * losses[0], 0.5 * (0.5 - math.exp(0.4) * losses[1] / 2), 0.5 - losses[2] / math.e]
    np.testing.assert_allclose(toy.gradients(ROWS)[-1], slopes, rtol=1e-4)
    assert_gradients(toy.gradients(ROWS), gradients_of(toy, weights(toy.balancing)))


def test_a_task_without_a_target_leaves_its_uncertainty():
    toy = Toy("uncertainty")
    with tf.GradientTape() as tape:
        total = toy.balancing.total({**LOSSES, "like": tf.constant(0.0)})
    assert tape.gradient(total, toy.balancing.log_variance).numpy().tolist() == [0.5 - 4, 0.5 * (0.5 - 1.5), 0]


def test_dwa_favours_what_fell_least():
    toy = Toy("dwa", temperature=0.5)
    toy.balancing.end_epoch({"retrieval": 4.0, "rating": 2.0, "like": 1.0})
    np.testing.assert_allclose(weights(toy.balancing), PRIORITIES, rtol=1e-6)
    toy.balancing.end_epoch({"retrieval": 2.0, "rating": 2.0, "like": 0.0})
    powers = np.exp([0.5 / 0.5, 1 / 0.5, 1 / 0.5])
    np.testing.assert_allclose(weights(toy.balancing), 3 * PRIORITIES * powers / powers.sum(), rtol=1e-6)
    toy.balancing.end_epoch({"retrieval": 2.5, "rating": 1.0, "like": 1.0})
    powers = np.exp([1.25 / 0.5, 0.5 / 0.5, 1 / 0.5])
    np.testing.assert_allclose(weights(toy.balancing), 3 * PRIORITIES * powers / powers.sum(), rtol=1e-6)
    assert_gradients(toy.gradients(ROWS), gradients_of(toy, weights(toy.balancing)))


def test_the_losses_are_saved_with_the_model():
    toy = Toy("dwa")
    toy.balancing.end_epoch({"retrieval": 4.0, "rating": 2.0, "like": 1.0})
    (saved,) = toy.balancing.non_trainable_variables
    assert saved.numpy().tolist() == [[4, 2, 1], [0, 0, 0]]


VALUES = arrays(np.float32, 3, elements=st.floats(0, 1e6, width=32))


def gradnorm_step(norms, losses, first, before):
    """The weights after one step, by the paper's formulas."""
    weighted = before * norms
    ratio = losses / first
    target = weighted.mean() * (ratio / ratio.mean()) ** 1.5
    slope = weighted * np.sign(weighted - target) / weighted.mean()
    after = before * np.exp(-0.1 * slope)
    return after * 3 / after.sum()


def test_gradnorm_moves_the_weights_towards_equal_norms():
    toy = Toy("gradnorm", learning_rate=0.1)
    first = losses = np.array([float(toy.losses(ROWS)[name]) for name in TASKS])
    expected = np.ones(3)
    for _ in range(2):
        norms = [np.linalg.norm(gradients_of(toy, row)[0]) for row in np.eye(3)]
        assert_gradients(toy.gradients(ROWS), gradients_of(toy, expected * PRIORITIES))
        expected = gradnorm_step(np.array(norms), losses, first, expected)
        np.testing.assert_allclose(weights(toy.balancing), expected * PRIORITIES, rtol=1e-5)
        assert expected.sum() == pytest.approx(3)
        toy.shared.kernel.assign_add([0.3, 0.1])
        losses = np.array([float(toy.losses(ROWS)[name]) for name in TASKS])
    np.testing.assert_allclose(toy.balancing.first_losses, first, rtol=1e-6)


def test_gradnorm_passes_over_a_task_without_a_target():
    toy = Toy("gradnorm", learning_rate=0.1)
    toy.balancing._update(tf.constant([1.0, 3.0, 0.0]), tf.constant([2.0, 5.0, 0.0]))
    after = np.exp([0.1 * 0.5, -0.1 * 1.5, 0])
    np.testing.assert_allclose(weights(toy.balancing), 3 * PRIORITIES * after / after.sum(), rtol=1e-5)
    toy.balancing._update(tf.constant([0.0, 0.0, 0.0]), tf.constant([0.0, 0.0, 7.0]))
    assert toy.balancing.first_losses.numpy().tolist() == [2, 5, 7]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(VALUES, VALUES), max_size=5))
def test_gradnorms_weights_stay_positive_and_keep_their_sum(steps):
    toy = Toy("gradnorm", learning_rate=1.0)
    for norms, losses in steps:
        toy.balancing._update(tf.constant(norms), tf.constant(losses))
    found = weights(toy.balancing) / PRIORITIES
    assert found.min() >= 0
    assert found.sum() == pytest.approx(3, rel=1e-4)
