import numpy as np
import pytest
import tensorflow as tf

from pipeline.config.training import OptimizerConfig
from trainer.optimizers import WarmupSchedule, make_optimizer


def rates(steps=12, **config):
    schedule = WarmupSchedule(OptimizerConfig(learning_rate=0.4, warmup_steps=3, **config), steps)
    return [float(schedule(tf.constant(step))) for step in range(steps + 1)]


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_the_rate_rises_to_its_peak(schedule):
    np.testing.assert_allclose(rates(schedule=schedule)[:4], [0.1, 0.2, 0.3, 0.4], rtol=1e-6)


def test_the_rate_falls_to_zero_at_the_last_step():
    np.testing.assert_allclose(rates(schedule="linear")[3:], 0.4 * np.linspace(1, 0, 10), atol=1e-7)
    np.testing.assert_allclose(rates(schedule="cosine")[3:], 0.2 * (1 + np.cos(np.pi * np.arange(10) / 9)), atol=1e-7)
    np.testing.assert_allclose(rates(schedule="constant")[3:], 0.4, rtol=1e-6)


def test_a_short_training_has_a_short_warm_up():
    assert max(rates(steps=2)) == pytest.approx(0.4)


def test_only_embeddings_decay():
    optimizer = make_optimizer(OptimizerConfig(learning_rate=0.1, warmup_steps=0, weight_decay=0.5), 10)
    table = tf.Variable([1.0], name="item_embedding/embeddings")
    kernel = tf.Variable([1.0], name="project/kernel")
    nothing = tf.zeros([1])
    optimizer.apply_gradients([(nothing, table), (nothing, kernel)])
    np.testing.assert_allclose([table[0], kernel[0]], [0.95, 1.0])


@pytest.mark.parametrize("name", ["adamw", "adam", "adagrad", "sgd"])
def test_every_optimizer_goes_downhill(name):
    optimizer = make_optimizer(OptimizerConfig(name=name, learning_rate=0.1, warmup_steps=0), 10)
    weight = tf.Variable([1.0, -1.0], name="kernel")
    optimizer.apply_gradients([(tf.constant([3.0, -3.0]), weight)])
    assert (np.abs(weight) < 1).all()


def test_gradients_are_clipped_together():
    optimizer = make_optimizer(OptimizerConfig(name="sgd", learning_rate=1.0, warmup_steps=0, clip_norm=5), 10**6)
    a, b = tf.Variable([0.0], name="a"), tf.Variable([0.0], name="b")
    optimizer.apply_gradients([(tf.constant([30.0]), a), (tf.constant([40.0]), b)])
    np.testing.assert_allclose([a[0], b[0]], [-3, -4], rtol=1e-5)
