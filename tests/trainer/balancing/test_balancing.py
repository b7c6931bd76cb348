import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.trainer.balancing.toy import TASKS, Toy, weights
from trainer.balancing.gradients import cosines, shared_dense, weighted_sum
from trainer.balancing.pcgrad import surgery

ROWS = tf.random.stateless_normal([6, 4], [1, 2])
PRIORITIES = np.array([1, 0.5, 1])
LOSSES = {"retrieval": tf.constant(4.0), "rating": tf.constant(3.0), "like": tf.constant(0.5)}


def gradients_of(toy, scales):
    """The plain gradients of the losses, each times its scale."""
    with tf.GradientTape() as tape:
        losses = toy.losses(ROWS)
        total = tf.add_n([scale * losses[name] for name, scale in zip(TASKS, scales, strict=True)])
    return tape.gradient(total, [toy.shared.kernel, toy.table, toy.own])


def assert_gradients(found, expected):
    for a, b in zip(found, expected, strict=False):
        np.testing.assert_allclose(a, tf.convert_to_tensor(b), rtol=1e-5, atol=1e-6)


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
    toy.balancing._step(tf.constant([1.0, 3.0, 0.0]), tf.constant([2.0, 5.0, 0.0]))
    after = np.exp([0.1 * 0.5, -0.1 * 1.5, 0])
    np.testing.assert_allclose(weights(toy.balancing), 3 * PRIORITIES * after / after.sum(), rtol=1e-5)
    toy.balancing._step(tf.constant([0.0, 0.0, 0.0]), tf.constant([0.0, 0.0, 7.0]))
    assert toy.balancing.first_losses.numpy().tolist() == [2, 5, 7]


def test_two_conflicting_gradients_by_hand():
    # (1, 0) and (-1, 1) become (1/2, 1/2) and (0, 1).
    gradients = np.array([[1.0, 0.0], [-1.0, 1.0]], np.float32)
    rows = surgery(tf.constant(gradients @ gradients.T), tf.constant([[0, 1], [0, 1]]))
    np.testing.assert_allclose(rows @ gradients, [[0.5, 0.5], [0, 1]])


def test_gradients_that_agree_stay():
    gradients = np.array([[1.0, 0.0], [1.0, 1.0]], np.float32)
    rows = surgery(tf.constant(gradients @ gradients.T), tf.constant([[0, 1], [0, 1]]))
    np.testing.assert_array_equal(rows, np.eye(2))


@settings(max_examples=30, deadline=None)
@given(
    arrays(np.int8, [3, 4], elements=st.integers(-9, 9)), st.lists(st.permutations(range(3)), min_size=3, max_size=3)
)
def test_surgery_is_the_papers_algorithm(gradients, orders):
    expected = gradients.astype(float)
    for i in range(3):
        for j in orders[i]:
            if i != j and expected[i] @ gradients[j] < -1e-4:
                expected[i] -= expected[i] @ gradients[j] / (gradients[j] @ gradients[j].astype(float)) * gradients[j]
    gradients = gradients.astype(np.float32)
    rows = surgery(tf.constant(gradients @ gradients.T), tf.constant(orders))
    np.testing.assert_allclose(rows @ gradients, expected, rtol=1e-3, atol=1e-2)


def test_pcgrad_repairs_the_shared_dense_parameters_only():
    toy = Toy("pcgrad")
    plain = gradients_of(toy, PRIORITIES)
    by_task = np.array([gradients_of(toy, row * PRIORITIES)[0] for row in np.eye(3)], np.float32)
    products = tf.constant(by_task @ by_task.T)
    assert products.numpy().min() < 0
    kernel, table, own = toy.gradients(ROWS)
    repaired = surgery(products, toy.balancing._orders()).numpy().sum(axis=0) @ by_task
    np.testing.assert_allclose(kernel, repaired, rtol=1e-4)
    assert np.abs(kernel - plain[0]).max() > 1e-2
    assert_gradients([table, own], plain[1:])


def test_the_order_of_pcgrad_changes_with_the_step_alone():
    toy = Toy("pcgrad")
    orders = [toy.balancing._orders().numpy().tolist() for _ in range(2)]
    assert orders[0] == orders[1]
    assert sorted(map(tuple, map(sorted, orders[0]))) == [(0, 1, 2)] * 3
    drawn = {str(orders[0])}
    for _ in range(5):
        toy.step.assign_add(1)
        drawn.add(str(toy.balancing._orders().numpy().tolist()))
    assert len(drawn) > 1


def test_cosines_between_gradients():
    found = cosines(tf.constant([[3.0, 4.0], [-4.0, 3.0], [-6.0, -8.0], [0.0, 0.0]]))
    np.testing.assert_allclose(found, [[1, 0, -1, 0], [0, 1, 0, 0], [-1, 0, 1, 0], [0] * 4], atol=1e-6)


def sparse(values, indices):
    return tf.IndexedSlices(tf.constant(values), tf.constant(indices), tf.constant([3, 1]))


def test_sums_of_sparse_gradients_stay_sparse():
    found = weighted_sum([sparse([[1.0], [2.0]], [0, 2]), None, sparse([[5.0]], [2])], tf.constant([2.0, 9.0, 3.0]))
    assert isinstance(found, tf.IndexedSlices)
    np.testing.assert_array_equal(tf.convert_to_tensor(found), [[2], [0], [19]])
    found = weighted_sum([sparse([[1.0]], [0]), tf.ones([3, 1])], tf.constant([2.0, 3.0]))
    np.testing.assert_array_equal(found, [[5], [3], [3]])
    assert weighted_sum([None, None], tf.constant([1.0, 1.0])) is None


def test_shared_parameters_have_dense_gradients_of_two_tasks():
    dense, table = tf.ones([2]), sparse([[1.0]], [0])
    assert shared_dense([[dense, dense, table, None, dense], [dense, None, table, None, table]]) == [0]
