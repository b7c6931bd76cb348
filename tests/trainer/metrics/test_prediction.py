import math

import numpy as np
import pytest
import tf_keras

from trainer.metrics.prediction import Answers, BinaryMetrics, ClassMetrics, RegressionMetrics, area_under_curve


def answers(label: list[float], prediction: list[float], weight: list[float] | None = None) -> Answers:
    return Answers(np.array(label), np.array(prediction), np.array(weight or [1.0] * len(label)))


def read(metrics: BinaryMetrics | RegressionMetrics | ClassMetrics, *batches: Answers) -> dict[str, float]:
    states = [metrics.add(metrics.start(), batch) for batch in batches]
    return metrics.read(metrics.merge(states))  # type: ignore[arg-type]


def test_binary_by_hand() -> None:
    found = read(BinaryMetrics(), answers([1, 0], [0.9, 0.8]), answers([1, 0], [0.4, 0.1]))
    assert found == pytest.approx(
        {
            "auc": 3 / 4,
            "log_loss": -(math.log(0.9) + math.log(0.2) + math.log(0.4) + math.log(0.9)) / 4,
            "accuracy": 1 / 2,
            "precision": 1 / 2,
            "recall": 1 / 2,
            "f1": 1 / 2,
            "calibration": 2.2 / 2,
            "examples": 4,
        }
    )


def test_ties_are_half_right() -> None:
    assert read(BinaryMetrics(), answers([1, 0], [0.3, 0.3]))["auc"] == 0.5


def test_rows_without_weight_do_not_count_whatever_they_hold() -> None:
    kept = answers([1, 0], [0.9, 0.2])
    padded = answers([1, 0, 0], [0.9, 0.2, math.nan], [1, 1, 0])
    assert read(BinaryMetrics(), padded) == read(BinaryMetrics(), kept)
    assert read(RegressionMetrics(), padded) == read(RegressionMetrics(), kept)


def test_regression_by_hand() -> None:
    found = read(RegressionMetrics(), answers([1, 2], [4, 2], [1, 2]), answers([5], [4]))
    assert found == pytest.approx({"rmse": math.sqrt(10 / 4), "mae": 4 / 4, "examples": 4})


def test_what_is_undefined_is_nan() -> None:
    none = answers([], [])
    assert all(math.isnan(value) for name, value in read(BinaryMetrics(), none).items() if name != "examples")
    assert all(math.isnan(value) for name, value in read(RegressionMetrics(), none).items() if name != "examples")
    assert math.isnan(read(BinaryMetrics(), answers([1, 1], [0.4, 0.6]))["auc"])


def test_a_certain_mistake_is_costly_but_finite() -> None:
    assert read(BinaryMetrics(), answers([1], [0.0]))["log_loss"] == pytest.approx(-math.log(1e-7))


def test_equals_keras() -> None:
    rng = np.random.default_rng(3)
    label, weight = rng.integers(0, 2, 500).astype(float), rng.random(500)
    prediction = np.clip(0.3 * label + 0.7 * rng.random(500), 0.001, 0.999)
    found = read(BinaryMetrics(), Answers(label, prediction, weight))
    keras = {
        "auc": tf_keras.metrics.AUC(num_thresholds=5000),
        "log_loss": tf_keras.metrics.BinaryCrossentropy(),
        "accuracy": tf_keras.metrics.BinaryAccuracy(),
        "precision": tf_keras.metrics.Precision(),
        "recall": tf_keras.metrics.Recall(),
    }
    for name, metric in keras.items():
        metric.update_state(label[:, None], prediction[:, None], weight)
        assert found[name] == pytest.approx(float(metric.result()), abs=1e-4), name
    rmse = tf_keras.metrics.RootMeanSquaredError()
    rmse.update_state(label[:, None], prediction[:, None], weight)
    assert read(RegressionMetrics(), Answers(label, prediction, weight))["rmse"] == pytest.approx(float(rmse.result()))


def test_area_under_curve_counts_ordered_pairs() -> None:
    score = np.array([0.1, 0.4, 0.4, 0.8, 0.2])
    label = np.array([0, 1, 0, 1, 1])
    pairs = [(p > n) + (p == n) / 2 for p in score[label == 1] for n in score[label == 0]]
    assert area_under_curve(Answers.unweighted(label, score)) == pytest.approx(np.mean(pairs))
    assert area_under_curve(Answers(label, score, np.array([1.0, 2, 3, 0, 1]))) == pytest.approx((2 + 3 + 1) / 12)


@pytest.mark.parametrize("label", [[0, 0], [1, 1], []])
def test_area_under_curve_of_one_class_is_undefined(label: list[int]) -> None:
    assert np.isnan(area_under_curve(Answers.unweighted(np.array(label), np.array([0.1, 0.2][: len(label)]))))


def classes(label: list[list[float]], prediction: list[list[float]], weight: list[float]) -> Answers:
    return Answers(np.array(label).reshape(-1, 3), np.array(prediction).reshape(-1, 3), np.array(weight))


def test_multiclass_by_hand() -> None:
    first = classes([[1, 0, 0], [0, 0.5, 0.5]], [[0.2, 0.7, 0.1], [0.3, 0.1, 0.6]], [1, 2])
    second = classes([[0, 0, 1], [1, 0, 0]], [[0, 0, 1], [1, 0, 0]], [1, 0])
    entropy = -math.log(0.2) - 2 * (math.log(0.1) + math.log(0.6)) / 2 - math.log(1)
    expected = {"accuracy": (0 + 2 + 1) / 4, "log_loss": entropy / 4, "examples": 4}
    assert read(ClassMetrics(), first, second) == pytest.approx(expected)


def test_a_certain_mistake_of_a_class_is_costly_but_finite() -> None:
    found = read(ClassMetrics(), classes([[1, 0, 0]], [[0, 1, 0]], [1]))
    assert found == pytest.approx({"accuracy": 0, "log_loss": -math.log(1e-7), "examples": 1})


def test_multiclass_without_rows_is_undefined() -> None:
    found = read(ClassMetrics(), classes([], [], []))
    assert math.isnan(found["accuracy"])
    assert math.isnan(found["log_loss"])
