import numpy as np
import tensorflow as tf

from trainer.losses.balancing.gradients import cosines, shared_dense, weighted_sum


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
