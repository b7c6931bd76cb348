import math

import numpy as np
import pytest

from trainer.metrics.prediction import Answers, ClassMetrics


def answers(label: list[list[float]], prediction: list[list[float]], weight: list[float]) -> Answers:
    return Answers(np.array(label).reshape(-1, 3), np.array(prediction).reshape(-1, 3), np.array(weight))


def test_by_hand() -> None:
    metrics = ClassMetrics()
    first = answers([[1, 0, 0], [0, 0.5, 0.5]], [[0.2, 0.7, 0.1], [0.3, 0.1, 0.6]], [1, 2])
    second = answers([[0, 0, 1], [1, 0, 0]], [[0, 0, 1], [1, 0, 0]], [1, 0])
    state = metrics.merge([metrics.add(metrics.start(), first), metrics.add(metrics.start(), second)])
    entropy = -math.log(0.2) - 2 * (math.log(0.1) + math.log(0.6)) / 2 - math.log(1)
    expected = {"accuracy": (0 + 2 + 1) / 4, "log_loss": entropy / 4, "examples": 4}
    assert metrics.read(state) == pytest.approx(expected)


def test_a_certain_mistake_is_costly_but_finite() -> None:
    metrics = ClassMetrics()
    state = metrics.add(metrics.start(), answers([[1, 0, 0]], [[0, 1, 0]], [1]))
    assert metrics.read(state) == pytest.approx({"accuracy": 0, "log_loss": -math.log(1e-7), "examples": 1})


def test_without_rows_nothing_is_known() -> None:
    metrics = ClassMetrics()
    found = metrics.read(metrics.add(metrics.start(), answers([], [], [])))
    assert math.isnan(found["accuracy"])
    assert math.isnan(found["log_loss"])
