import numpy as np
import pytest
import tensorflow as tf

from config.training import OptimizerConfig, PlateauConfig
from trainer.training.schedules import Plateau, WarmupSchedule


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
