import numpy as np
import tensorflow as tf

from config.model import GeneratorConfig
from trainer.distributed.randomness import Randomness
from trainer.model.cold_items import ContentGenerator
from trainer.model.generator import LOSS, Adversary, Critic

LEARNED = tf.constant([[3.0, 0.0], [1.0, 2.0]])
CONTENT = tf.constant([[1.0, 1.0], [0.0, 2.0]])
CONFIG = GeneratorConfig(layers=(), critic_layers=(), noise=1, samples=2, weight=0.5)


def linear_critic(slope):
    critic = Critic([])
    critic(LEARNED, CONTENT)
    critic.score.kernel.assign(np.array([[*slope, 0, 0]]).T)
    return critic


def adversary(config=CONFIG, learned=LEARNED, content=CONTENT):
    randomness = Randomness(1, tf.Variable(0, dtype=tf.int64))

    def parts(item):
        return tf.gather(learned, item), tf.gather(content, item)

    made = Adversary(config, ContentGenerator(config, 2), 2, randomness, parts)
    made.losses()
    return made


def test_a_generator_starts_at_the_content_and_adds_a_correction():
    generator = ContentGenerator(CONFIG, 2)
    np.testing.assert_array_equal(generator(CONTENT), CONTENT)
    generator.correct.kernel.assign([[1.0, 0], [0, 0], [0, 10]])
    np.testing.assert_array_equal(generator(CONTENT), CONTENT.numpy() + np.array([[1, 0], [0, 0]]))
    np.testing.assert_array_equal(
        generator(CONTENT, tf.constant([[1.0], [2.0]])), CONTENT.numpy() + np.array([[1, 10], [0, 20]])
    )
    assert generator(tf.zeros([3, 4, 2])).shape == (3, 4, 2)


def test_a_slope_of_one_costs_nothing():
    share = tf.constant([[0.2], [0.7]])
    for slope, penalty in [((0.6, 0.8), 0), ((3.0, 4.0), 16), ((0, 0), 1)]:
        found = linear_critic(slope).slope_penalty(LEARNED, CONTENT, CONTENT, share)
        np.testing.assert_allclose(found, penalty, atol=1e-4)


def test_the_distance_is_that_of_the_mean_scores():
    made = adversary()
    made.critic.score.kernel.assign([[1.0], [2], [0], [0]])
    distance, penalty = made.compare(LEARNED, CONTENT, tf.zeros([2, 1]), tf.ones([2, 1]))
    # Learned: 3 and 5; generated, which is the content: 3 and 4.
    np.testing.assert_allclose(distance, 4 - 3.5)
    np.testing.assert_allclose(penalty, (np.sqrt(5) - 1) ** 2, rtol=1e-5)


def test_generator_and_critic_pull_the_loss_apart():
    made = adversary(CONFIG.model_copy(update={"gradient_penalty": 0}))
    made.critic.score.kernel.assign([[1.0], [2], [0], [0]])
    with tf.GradientTape() as tape:
        loss = made.losses()[LOSS]
    by_bias, by_score = tape.gradient(loss, [made.generator.correct.bias, made.critic.score.kernel])
    # A step against its gradient moves the generated vectors up the critic's slope, where they look learned.
    np.testing.assert_allclose(by_bias, -0.5 * np.array([1, 2]), rtol=1e-5)
    assert float(tf.reduce_sum(by_score[:2, 0] * [1.0, -1.0])) < 0


def test_what_the_tower_learned_is_not_moved():
    table = tf.Variable(LEARNED)
    made = adversary(learned=table, content=table)
    with tf.GradientTape() as tape:
        loss = made.losses()[LOSS]
    assert tape.gradient(loss, table) is None
