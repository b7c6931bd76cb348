import numpy as np
import tensorflow as tf

from trainer.metrics.ranks import ColdRanks

FREQUENCIES = tf.Variable([5.0, 0, 2, 0, 0])


def test_only_known_items_without_a_train_event_are_cold():
    cold = ColdRanks(FREQUENCIES, mask_seen=True)
    assert cold.is_cold(tf.constant([0, 1, 2, 4, 5], tf.int64)).numpy().tolist() == [0, 1, 0, 1, 0]


def test_cold_items_are_ranked_without_the_others():
    scores = tf.constant([[9.0, 1, 8, 3, 2]] * 3)
    target = tf.constant([1, 4, 3], tf.int64)
    seen = tf.constant([[5], [3], [5]], tf.int64)
    np.testing.assert_array_equal(ColdRanks(FREQUENCIES, True).ranks(scores, target, seen), [3, 1, 1])
    np.testing.assert_array_equal(ColdRanks(FREQUENCIES, False).ranks(scores, target, seen), [3, 2, 1])
