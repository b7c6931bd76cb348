import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError

from config.training import OptimizerConfig, PlateauConfig
from trainer.training.optimizers import Plateau, WarmupSchedule, learning_rates, make_optimizer


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


def test_the_rate_of_a_warm_start_begins_at_the_optimizer_s_count_of_steps():
    config = OptimizerConfig(learning_rate=0.1, warmup_steps=0)
    cold, warm = WarmupSchedule(config, 10), WarmupSchedule(config, 10, begin=70)
    for step in (0, 3, 10):
        assert float(warm(tf.constant(70 + step))) == pytest.approx(float(cold(tf.constant(step))))


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


def test_an_exponential_rate_falls_by_the_same_factor_at_every_step():
    found = rates(schedule="exponential", final_share=0.001)[3:]
    np.testing.assert_allclose(found, 0.4 * 0.001 ** (np.arange(10) / 9), rtol=1e-5)


def factors(metric, values, **config):
    plateau = Plateau(PlateauConfig(metric=metric, **config))
    found = []
    for value in values:
        plateau.end_epoch({metric: value})
        found.append(float(plateau.factor))
    return found


def test_the_rate_halves_when_nothing_improved_for_some_epochs():
    assert factors("loss", [3, 2, 2.5, 2.0, 1.9, 2, 2, 2, 2]) == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125]


def test_a_higher_figure_is_better_but_for_losses():
    assert factors("ndcg@10", [0.3, 0.4, 0.4, 0.2], patience=1, factor=0.1) == pytest.approx([1, 1, 0.1, 0.01])


def test_a_plateau_lowers_the_rate_after_the_warm_up():
    config = OptimizerConfig(learning_rate=0.4, warmup_steps=3, schedule="plateau")
    plateau = Plateau(config.plateau)
    schedule = WarmupSchedule(config, 12, plateau=plateau)
    plateau.factor.assign(0.5)
    found = [float(schedule(tf.constant(step))) for step in range(5)]
    np.testing.assert_allclose(found, [0.1, 0.2, 0.2, 0.2, 0.2], rtol=1e-6)


def test_a_plateau_of_an_unknown_figure_says_which_there_are():
    plateau = Plateau(PlateauConfig(metric="ndcg@7"))
    with pytest.raises(
        ValueError, match=r"`training.optimizer.plateau.metric` should be one of loss. Received: ndcg@7"
    ):
        plateau.end_epoch({"loss": 1.0})
