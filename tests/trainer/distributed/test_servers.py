import numpy as np
import tensorflow as tf

from trainer.distributed.randomness import Randomness
from trainer.distributed.servers import DIVIDED_ROWS, copy_variables, partitioner


def test_tables_are_divided_among_all_servers_and_nothing_else_is():
    shards = partitioner(3)
    assert shards(tf.TensorShape([DIVIDED_ROWS, 64]), tf.float32) == [3, 1]
    assert shards(tf.TensorShape([DIVIDED_ROWS - 1, 64]), tf.float32) == [1, 1]
    assert shards(tf.TensorShape([DIVIDED_ROWS]), tf.float32) == [1]  # an item's bias
    assert shards(tf.TensorShape([DIVIDED_ROWS, 2]), tf.int32) == [1, 1]  # its categories


def test_shards_are_joined_in_the_order_of_their_rows():
    values = np.arange(10, dtype=np.float32).reshape(5, 2)
    sources = [tf.Variable(v) for v in (7.0, values[:2], values[2:4], values[4:], [1.0, 2.0])]
    targets = [tf.Variable(0.0), tf.Variable(tf.zeros([5, 2])), tf.Variable(tf.zeros([2]))]
    copy_variables(sources, targets)
    for target, expected in zip(targets, (7.0, values, [1.0, 2.0]), strict=True):
        np.testing.assert_array_equal(target.numpy(), expected)


def test_a_step_of_its_own_draws_as_the_counted_one():
    step = tf.Variable(3, dtype=tf.int64)
    randomness = Randomness(1, step)
    at_three = randomness.global_seed(5).numpy()
    step.assign(8)
    with randomness.at(tf.constant(3, tf.int64)):
        np.testing.assert_array_equal(randomness.global_seed(5).numpy(), at_three)
    assert (randomness.global_seed(5).numpy() != at_three).any()
