import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.trainer.losses.balancing.toy import PRIORITIES, ROWS, Toy, assert_gradients, gradients_of
from trainer.losses.balancing.gradients import cosines, shared_dense, weighted_sum
from trainer.losses.balancing.pcgrad import surgery


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
