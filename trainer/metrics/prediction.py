"""The metrics of ranking tasks, from weighted labels and predictions.

Binary tasks (labels 0 and 1, predictions are probabilities):

- auc: the probability that a positive is scored above a negative, ties counted half;
- log_loss: binary cross-entropy, natural logarithm, probabilities clipped to [1e-7, 1 - 1e-7];
- accuracy, precision, recall, f1: a probability above 0.5 is a positive prediction;
- calibration: the sum of predictions over the sum of labels.

Regression tasks: rmse and mae. Multiclass tasks: accuracy and log_loss.

The classes are folds over batches of rows (`start`, `add`, `merge`, `read`), as a Beam combiner is one. NumPy only:
Keras' metrics keep their state in variables, which Beam workers cannot merge, and scikit-learn's take all rows at once.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_BUCKETS = 10_000
EPSILON = 1e-7
"""Probabilities are clipped to [EPSILON, 1 - EPSILON]."""


class Answers(NamedTuple):
    """Labelled predictions: aligned float64 arrays [N], label and prediction [N, C] for multiclass tasks.

    Rows of weight 0 do not count, whatever they hold.
    """

    label: Floats
    prediction: Floats
    weight: Floats

    @classmethod
    def unweighted(cls, label: npt.NDArray[Any], prediction: npt.NDArray[Any]) -> "Answers":
        """Rows that all have the weight 1."""
        return cls(label.astype(np.float64), prediction.astype(np.float64), np.ones(len(label)))

    def counted(self) -> "Answers":
        """The rows with a weight."""
        kept = self.weight > 0
        return Answers(self.label[kept], self.prediction[kept], self.weight[kept])


class _SumMetrics:
    """A fold whose state is three sums over the rows."""

    def start(self) -> Floats:
        """Returns the state of no rows."""
        return np.zeros(3)

    def merge(self, states: Iterable[Floats]) -> Floats:
        """Returns the state of the rows of all states."""
        return np.sum(list(states), axis=0)


class RegressionMetrics(_SumMetrics):
    """Computes rmse and mae. The state is [weight, squared errors, absolute errors]."""

    def add(self, state: Floats, answers: Answers) -> Floats:
        """Returns the state with more rows."""
        label, prediction, weight = answers.counted()
        error = prediction - label
        return state + np.array([weight.sum(), weight @ error**2, weight @ np.abs(error)])

    def read(self, state: Floats) -> dict[str, float]:
        """Returns the metrics by name; NaN without rows."""
        weight, squared, absolute = state
        rmse = float(np.sqrt(ratio(squared, weight)))
        return {"rmse": rmse, "mae": ratio(absolute, weight), "examples": float(weight)}


class ClassMetrics(_SumMetrics):
    """Computes accuracy and log_loss of class probabilities [N, C], whose labels are the item's shares of the classes.

    A prediction is right where the item has any share of the most probable class. The state is
    [weight, right predictions, cross-entropy].
    """

    def add(self, state: Floats, answers: Answers) -> Floats:
        """Returns the state with more rows."""
        label, prediction, weight = answers.counted()
        best = np.take_along_axis(label, prediction.argmax(axis=1)[:, np.newaxis], axis=1)[:, 0]
        entropy = -(label * np.log(np.maximum(prediction, EPSILON))).sum(axis=1)
        return state + np.array([weight.sum(), weight @ (best > 0), weight @ entropy])

    def read(self, state: Floats) -> dict[str, float]:
        """Returns the metrics by name; NaN without rows."""
        weight, right, entropy = state
        return {"accuracy": ratio(right, weight), "log_loss": ratio(entropy, weight), "examples": float(weight)}


class BinaryState(NamedTuple):
    """The sums of `BinaryMetrics`.

    Attributes:
        sums: [weight, labels, predictions, cross-entropy].
        confusion: float [2, 2], the weight by label and prediction.
        buckets: float [2, 10,000], the weight of negatives and of positives by bucket of the score.
    """

    sums: Floats
    confusion: Floats
    buckets: Floats


class BinaryMetrics:
    """Computes auc (of scores cut into 10,000 buckets), log_loss, accuracy, precision, recall, f1 and calibration."""

    def start(self) -> BinaryState:
        """Returns the state of no rows."""
        return BinaryState(np.zeros(4), np.zeros((2, 2)), np.zeros((2, _BUCKETS)))

    def add(self, state: BinaryState, answers: Answers) -> BinaryState:
        """Returns the state with more rows."""
        label, prediction, weight = answers.counted()
        positive = (label > 0.5).astype(np.int64)
        clipped = np.clip(prediction, EPSILON, 1 - EPSILON)
        entropy = -np.where(positive, np.log(clipped), np.log1p(-clipped))
        sums = [weight.sum(), weight @ positive, weight @ prediction, weight @ entropy]
        bucket = np.minimum((clipped * _BUCKETS).astype(np.int64), _BUCKETS - 1)
        buckets = _totals(positive, bucket, weight, _BUCKETS)
        confusion = _totals(positive, (prediction > 0.5).astype(np.int64), weight, 2)
        return self.merge([state, BinaryState(np.array(sums), confusion, buckets)])

    def merge(self, states: Iterable[BinaryState]) -> BinaryState:
        """Returns the state of the rows of all states."""
        return BinaryState(*(np.sum(parts, axis=0) for parts in zip(*states, strict=True)))

    def read(self, state: BinaryState) -> dict[str, float]:
        """Returns the metrics by name; NaN where undefined, as the AUC of a single class."""
        weight, labels, predictions, entropy = state.sums
        (_, false_positive), (false_negative, true_positive) = state.confusion
        return {
            "auc": _area(*state.buckets),
            "log_loss": ratio(entropy, weight),
            "accuracy": ratio(np.trace(state.confusion), weight),
            "precision": ratio(true_positive, true_positive + false_positive),
            "recall": ratio(true_positive, true_positive + false_negative),
            "f1": ratio(2 * true_positive, 2 * true_positive + false_positive + false_negative),
            "calibration": ratio(predictions, labels),
            "examples": float(weight),
        }


def area_under_curve(answers: Answers) -> float:
    """Returns the AUC of rows that fit in memory, without buckets; NaN where one class is absent.

    For example, the labels [0, 1, 1] with the scores [0.2, 0.2, 0.9] have (1 / 2 + 1) / 2 = 0.75.
    """
    label, prediction, weight = answers.counted()
    scores, group = np.unique(prediction, return_inverse=True)
    return _area(*_totals((label > 0.5).astype(np.int64), group, weight, len(scores)))


def ratio(numerator: Any, denominator: Any) -> float:
    """Returns the quotient; NaN where the denominator is 0."""
    return float(numerator / denominator) if denominator else float("nan")


def _totals(row: npt.NDArray[np.int64], column: npt.NDArray[np.int64], weight: Floats, width: int) -> Floats:
    """Adds weights [N] up by cell: float [2, width]."""
    return np.bincount(row * width + column, weight, 2 * width).astype(np.float64).reshape(2, width)


def _area(negatives: Floats, positives: Floats) -> float:
    """The AUC from the weights of negatives and positives by ascending score; in one cell they are tied."""
    below = np.cumsum(negatives) - negatives / 2
    return ratio(positives @ below, positives.sum() * negatives.sum())
