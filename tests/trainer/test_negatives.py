import numpy as np
import tensorflow as tf

from trainer.negatives import BLOCKED, FrequencySampler, Negatives, all_items, blocked_scores
from trainer.randomness import Randomness

FREQUENCIES = np.array([7, 3, 1, 0], np.float32)
SHARE = np.array([8, 4, 2, 1]) / 15


def sampler(samples, step=0):
    return FrequencySampler(FREQUENCIES, samples, Randomness(5, tf.Variable(step, dtype=tf.int64)))


def test_all_items_count_once():
    found = all_items(3)
    assert found.item.numpy().tolist() == [0, 1, 2]
    assert found.log_weight.numpy().tolist() == [0, 0, 0]


def test_items_are_drawn_by_frequency_plus_one():
    draws = 20000
    found = sampler(draws).sample()
    counts = np.exp(found.log_weight) * draws * SHARE[found.item]
    share = np.zeros(4)
    share[found.item] = counts / draws
    np.testing.assert_allclose(share, SHARE, atol=0.01)


def test_an_item_is_there_once_with_the_weight_of_its_draws():
    found = sampler(3).sample()
    items = found.item.numpy().tolist()
    assert len(items) == len(set(items)) <= 3
    counts = np.exp(found.log_weight) * 3 * SHARE[found.item]
    np.testing.assert_allclose(counts, np.round(counts), atol=1e-5)
    np.testing.assert_allclose(counts.sum(), 3, rtol=1e-5)


def test_the_sum_of_weights_estimates_the_full_sum():
    scores = np.array([0.5, -1, 2, 1])
    randomness_step = tf.Variable(0, dtype=tf.int64)
    drawn = FrequencySampler(FREQUENCIES, 4, Randomness(5, randomness_step))
    sums = []
    for step in range(200):
        randomness_step.assign(step)
        found = drawn.sample()
        sums.append(np.exp(scores[found.item.numpy()] + found.log_weight.numpy()).sum())
    error = np.std(sums) / np.sqrt(len(sums))
    assert abs(np.mean(sums) - np.exp(scores).sum()) < 4 * error


def test_a_step_draws_the_same_again_and_another_step_does_not():
    first, again, other = sampler(50).sample(), sampler(50).sample(), sampler(50, step=1).sample()
    np.testing.assert_array_equal(first.item, again.item)
    np.testing.assert_array_equal(first.log_weight, again.log_weight)
    assert first.log_weight.numpy().tolist() != other.log_weight.numpy().tolist()


def test_blocked_items_are_pushed_down_in_their_row_only():
    negatives = Negatives(tf.constant([4, 0, 2], tf.int64), tf.zeros([3]))
    blocked = tf.constant([[2, 2, 1], [5, 5, 5], [4, 0, 5]], tf.int64)
    found = blocked_scores(negatives, blocked, size=5).numpy()
    np.testing.assert_array_equal(found != 0, [[False, False, True], [False] * 3, [True, True, False]])
    assert set(found.ravel().tolist()) == {0.0, BLOCKED}
