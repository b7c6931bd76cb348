"""What parts of a prediction add up to: the label, or its log-odds."""

from typing import Final, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy import optimize, special

from pipeline.config.tasks import PointwiseTask, RegressionTask

_Floats = NDArray[np.float64]

_PRIOR_EVENTS: Final = 5
"""The weights are drawn to the first part alone as by so many events that say something."""
_SMALLEST: Final = 1e-6
"""Probabilities have a finite logarithm from here on."""


class Link(Protocol):
    """From predictions to what the parts add up to, and back (Nelder and Wedderburn, "Generalized linear models",
    1972)."""

    @property
    def measure(self) -> str:
        """What `error` is called."""

    def of(self, prediction: tf.Tensor) -> tf.Tensor:
        """What the parts have to add up to."""

    def answer(self, total: tf.Tensor) -> tf.Tensor:
        """What the parts' sum predicts."""

    def weights(self, parts: _Floats, label: _Floats, start: float) -> _Floats:
        """The weights [P] of parts [E, P] that predict labels [E] best beside `start`, drawn to the first alone."""

    def error(self, total: _Floats, label: _Floats) -> float:
        """Of the parts' sums [E] for labels [E]."""


class LabelLink:
    """The parts add up to the label, between bounds: least squares."""

    measure = "rmse"

    def __init__(self, least: float | None, most: float | None) -> None:
        self._least, self._most = least, most

    def of(self, prediction: tf.Tensor) -> tf.Tensor:
        """The prediction itself."""
        return prediction

    def answer(self, total: tf.Tensor) -> tf.Tensor:
        """The sum inside the bounds."""
        total = total if self._least is None else tf.maximum(total, self._least)
        return total if self._most is None else tf.minimum(total, self._most)

    def weights(self, parts: _Floats, label: _Floats, start: float) -> _Floats:
        """Least squares, drawn to the first part alone (Breiman 1996)."""
        alone = np.eye(parts.shape[1])[0]
        return alone + np.linalg.solve(parts.T @ parts + _prior(parts), parts.T @ (label - start - parts @ alone))

    def error(self, total: _Floats, label: _Floats) -> float:
        """The root of the mean squared error."""
        return float(np.sqrt(np.mean((label - total) ** 2)))


class LogOddsLink:
    """The parts add up to the log-odds of a yes: logistic regression."""

    measure = "log loss"

    def of(self, prediction: tf.Tensor) -> tf.Tensor:
        """The log-odds of a probability."""
        yes = tf.clip_by_value(prediction, _SMALLEST, 1 - _SMALLEST)
        return tf.math.log(yes) - tf.math.log1p(-yes)

    def answer(self, total: tf.Tensor) -> tf.Tensor:
        """The probability."""
        return tf.sigmoid(total)

    def weights(self, parts: _Floats, label: _Floats, start: float) -> _Floats:
        """The most likely ones, drawn to the first part alone (Hosmer and Lemeshow, "Applied logistic regression")."""
        alone, prior = np.eye(parts.shape[1])[0], _prior(parts) / 4  # the greatest variance of a yes

        def loss(weights: _Floats) -> tuple[float, _Floats]:
            total, away = start + parts @ weights, weights - alone
            slope = parts.T @ (special.expit(total) - label) + prior @ away
            return len(label) * self.error(total, label) + float(away @ prior @ away) / 2, slope

        return np.asarray(optimize.minimize(loss, alone, jac=True, method="L-BFGS-B").x)

    def error(self, total: _Floats, label: _Floats) -> float:
        """The mean negative logarithm of what the label was given."""
        return float(np.mean(np.logaddexp(0, total) - label * total))


def link_of(task: PointwiseTask) -> Link:
    """What the task's kind wants."""
    return LabelLink(task.min, task.max) if isinstance(task, RegressionTask) else LogOddsLink()


def _prior(parts: _Floats) -> _Floats:
    """[P, P]. A part that is 0 for most events is as large as it is for the others: their few say little of it."""
    squares = parts**2
    size = (squares**2).sum(axis=0) / np.maximum(squares.sum(axis=0), 1e-9)
    return np.asarray(_PRIOR_EVENTS * np.diag(size + 1e-9))
