import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError

from config.training import OptimizerConfig
from trainer.training.optimizers import learning_rates, make_optimizer


def step(config, **gradients):
    """One step of a table and a kernel from 1.0, by variable."""
    names = {"table": "item_embedding/embeddings", "kernel": "project/kernel", "bias": "project/bias"}
    shapes = {"table": [1, 1], "kernel": [1, 1], "bias": [1]}
    variables = {name: tf.Variable(tf.ones(shapes[name]), name=names[name]) for name in gradients}
    optimizer = make_optimizer(OptimizerConfig(warmup_steps=0, **config), 10**6, list(variables.values()))
    pairs = [(tf.fill(shapes[name], gradient), variables[name]) for name, gradient in gradients.items()]
    optimizer.apply_gradients(pairs)
    return {name: float(tf.squeeze(variable)) for name, variable in variables.items()}, optimizer


def test_only_embeddings_decay():
    found, _ = step({"learning_rate": 0.1, "weight_decay": 0.5}, table=0.0, kernel=0.0)
    assert found == pytest.approx({"table": 0.95, "kernel": 1.0})


def test_dense_weights_decay_at_their_own_rate_and_biases_do_not():
    config = {"learning_rate": 0.1, "weight_decay": 0.5, "dense_weight_decay": 0.2}
    found, _ = step(config, table=0.0, kernel=0.0, bias=0.0)
    assert found == pytest.approx({"table": 0.95, "kernel": 0.98, "bias": 1.0})


@pytest.mark.parametrize("name", ["adamw", "adam", "adagrad", "sgd"])
def test_every_optimizer_goes_downhill(name):
    weight = tf.Variable([1.0, -1.0], name="kernel")
    optimizer = make_optimizer(OptimizerConfig(name=name, learning_rate=0.1, warmup_steps=0), 10, [weight])
    optimizer.apply_gradients([(tf.constant([3.0, -3.0]), weight)])
    assert (np.abs(weight) < 1).all()


# Steps of a constant gradient 1 at the rate 0.1: the velocity is -0.1, then -0.15.
@pytest.mark.parametrize(("nesterov", "expected"), [(False, [0.9, 0.75]), (True, [0.85, 0.675])])
def test_momentum_keeps_a_share_of_the_last_step(nesterov, expected):
    weight = tf.Variable([1.0], name="kernel")
    config = OptimizerConfig(
        name="sgd", learning_rate=0.1, momentum=0.5, nesterov=nesterov, warmup_steps=0, schedule="constant"
    )
    optimizer = make_optimizer(config, 10, [weight])
    for value in expected:
        optimizer.apply_gradients([(tf.constant([1.0]), weight)])
        np.testing.assert_allclose(weight, [value], rtol=1e-6)


def test_embeddings_follow_their_own_rule():
    config = {"name": "sgd", "learning_rate": 0.1, "embeddings": {"name": "adagrad", "learning_rate": 0.5}}
    found, optimizer = step(config, table=2.0, kernel=2.0)
    # Adagrad begins with an accumulator of 0.1: 1 - 0.5 * 2 / sqrt(0.1 + 2^2).
    assert found == pytest.approx({"table": 1 - 1 / np.sqrt(4.1), "kernel": 0.8}, rel=1e-5)
    assert learning_rates(optimizer) == pytest.approx({"learning_rate": 0.1, "learning_rate/embeddings": 0.5})


@pytest.mark.parametrize("embeddings", [None, {"name": "sgd", "learning_rate": 1.0}])
def test_gradients_are_clipped_together(embeddings):
    config = {"name": "sgd", "learning_rate": 1.0, "clip_norm": 5, "embeddings": embeddings}
    found, _ = step(config, table=30.0, kernel=40.0)
    assert found == pytest.approx({"table": 1 - 3, "kernel": 1 - 4}, rel=1e-5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "adam", "momentum": 0.9}, "`momentum` should be left out with `adam`"),
        ({"name": "sgd", "nesterov": True}, "`nesterov` needs a `momentum` above 0"),
        ({"name": "sgd", "dense_weight_decay": 0.1}, "`dense_weight_decay` should be left out with `sgd`"),
        ({"embeddings": {"name": "adagrad", "momentum": 0.9}}, "`momentum` should be left out with `adagrad`"),
    ],
)
def test_what_a_rule_does_not_have_is_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        OptimizerConfig(**values)
