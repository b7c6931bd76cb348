"""The metrics of ranking tasks, from weighted labels and predictions. NumPy only.

Binary tasks (labels 0 and 1, predictions are probabilities):

- auc: the probability that a positive is scored above a negative, ties counted half, the scores cut into 10,000
  buckets;
- log_loss: binary cross-entropy, natural logarithm, probabilities clipped to [1e-7, 1 - 1e-7];
- accuracy, precision, recall, f1 where a probability above 0.5 is a yes;
- calibration: the sum of predictions over the sum of labels.

Regression tasks: rmse and mae.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_BUCKETS = 10_000
EPSILON = 1e-7
"""Probabilities are taken to be no nearer to 0 (and 1)."""


class Answers(NamedTuple):
    """Labelled predictions: aligned arrays [N], of multiclass tasks [N, C]. Rows of weight 0 do not count."""

    label: Floats
    prediction: Floats
    weight: Floats

    def counted(self) -> "Answers":
        """The rows with a weight."""
        kept = self.weight > 0
        return Answers(self.label[kept], self.prediction[kept], self.weight[kept])


class RegressionMetrics:
    """rmse and mae. The state is [weight, squared errors, absolute errors]."""

    def start(self) -> Floats:
        """The state of no rows."""
        return np.zeros(3)

    def add(self, state: Floats, answers: Answers) -> Floats:
        """Takes rows in."""
        label, prediction, weight = answers.counted()
        error = prediction - label
        return state + np.array([weight.sum(), weight @ error**2, weight @ np.abs(error)])

    def merge(self, states: Iterable[Floats]) -> Floats:
        """The state of all rows."""
        return np.sum(list(states), axis=0)

    def read(self, state: Floats) -> dict[str, float]:
        """The metrics; NaN without rows."""
        weight, squared, absolute = state
        return {
            "rmse": float(np.sqrt(ratio(squared, weight))),
            "mae": ratio(absolute, weight),
            "examples": float(weight),
        }


class BinaryState(NamedTuple):
    """Sums: [weight, labels, predictions, cross-entropy], the confusion matrix [label, prediction], and the weight of
    negatives and positives by bucket of the score [2, 10,000]."""

    sums: Floats
    confusion: Floats
    buckets: Floats


class BinaryMetrics:
    """auc, log_loss, accuracy, precision, recall, f1, calibration."""

    def start(self) -> BinaryState:
        """The state of no rows."""
        return BinaryState(np.zeros(4), np.zeros((2, 2)), np.zeros((2, _BUCKETS)))

    def add(self, state: BinaryState, answers: Answers) -> BinaryState:
        """Takes rows in."""
        label, prediction, weight = answers.counted()
        positive = (label > 0.5).astype(np.int64)
        clipped = np.clip(prediction, EPSILON, 1 - EPSILON)
        entropy = -np.where(positive, np.log(clipped), np.log1p(-clipped))
        sums = [weight.sum(), weight @ positive, weight @ prediction, weight @ entropy]
        bucket = np.minimum((clipped * _BUCKETS).astype(np.int64), _BUCKETS - 1)
        buckets = _totals(positive * _BUCKETS + bucket, weight, 2 * _BUCKETS)
        confusion = _totals(positive * 2 + (prediction > 0.5), weight, 4)
        return self.merge([state, BinaryState(np.array(sums), confusion, buckets)])

    def merge(self, states: Iterable[BinaryState]) -> BinaryState:
        """The state of all rows."""
        return BinaryState(*(np.sum(parts, axis=0) for parts in zip(*states, strict=True)))

    def read(self, state: BinaryState) -> dict[str, float]:
        """The metrics; NaN where undefined, as the AUC of a single class."""
        weight, labels, predictions, entropy = state.sums
        (_, false_positive), (false_negative, true_positive) = state.confusion
        return {
            "auc": _auc(*state.buckets),
            "log_loss": ratio(entropy, weight),
            "accuracy": ratio(np.trace(state.confusion), weight),
            "precision": ratio(true_positive, true_positive + false_positive),
            "recall": ratio(true_positive, true_positive + false_negative),
            "f1": ratio(2 * true_positive, 2 * true_positive + false_positive + false_negative),
            "calibration": ratio(predictions, labels),
            "examples": float(weight),
        }


def _totals(position: npt.NDArray[np.int64], weight: Floats, size: int) -> Floats:
    """The weight of negatives and positives [2, size / 2] by position."""
    return np.bincount(position, weight, size).astype(np.float64).reshape(2, -1)


def _auc(negatives: Floats, positives: Floats) -> float:
    below = np.cumsum(negatives) - negatives / 2
    return ratio(positives @ below, positives.sum() * negatives.sum())


def ratio(above: Any, below: Any) -> float:
    """The quotient; NaN where nothing is below."""
    return float(above / below) if below else float("nan")


class ClassMetrics:
    """accuracy and log_loss of answers whose labels and predictions are [N, C]: the target's shares of the classes,
    and probabilities. The state is [weight, right answers, cross-entropy]."""

    def start(self) -> Floats:
        """The state of no rows."""
        return np.zeros(3)

    def add(self, state: Floats, answers: Answers) -> Floats:
        """Takes rows in."""
        label, prediction, weight = answers.counted()
        best = np.take_along_axis(label, prediction.argmax(axis=1)[:, np.newaxis], axis=1)[:, 0]
        entropy = -(label * np.log(np.maximum(prediction, EPSILON))).sum(axis=1)
        return state + np.array([weight.sum(), weight @ (best > 0), weight @ entropy])

    def merge(self, states: Iterable[Floats]) -> Floats:
        """The state of all rows."""
        return np.sum(list(states), axis=0)

    def read(self, state: Floats) -> dict[str, float]:
        """The metrics; NaN without rows."""
        weight, right, entropy = state
        return {"accuracy": ratio(right, weight), "log_loss": ratio(entropy, weight), "examples": float(weight)}
