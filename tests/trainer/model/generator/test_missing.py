import numpy as np
import tensorflow as tf

from trainer.distributed.randomness import Randomness
from trainer.losses.negatives import Negatives
from trainer.model.generator.content import MissingIds


def missing(rate=0.25, warm=6, size=10_000, step=0):
    return MissingIds(rate, warm, size, Randomness(1, tf.Variable(step, dtype=tf.int64)))


def test_outside_of_training_items_without_positives_have_no_id():
    found = missing()(tf.constant([[0, 5], [6, 7]], tf.int64))
    assert found.numpy().tolist() == [[False, False], [True, True]]


def test_training_takes_the_share_of_ids_by_seed_and_step():
    item = tf.range(10_000, dtype=tf.int64)
    first = missing(warm=10_000)(item, training=True).numpy()
    assert abs(first.mean() - 0.25) < 0.02
    np.testing.assert_array_equal(missing(warm=10_000)(item[::-1], training=True)[::-1], first)
    assert (missing(warm=10_000, step=1)(item, training=True).numpy() != first).any()


def test_items_that_training_does_not_know_are_no_negatives():
    item = tf.constant([1, 5, 6, 9], tf.int64)
    blocked = tf.zeros([0, 1], tf.int64)
    found = missing().known_only(Negatives(item, tf.constant([0.5, 1.0, 2.0, 0.0]), blocked))
    assert found.log_weight.numpy()[:2].tolist() == [0.5, 1.0]
    assert (found.log_weight.numpy()[2:] < -1e8).all()
