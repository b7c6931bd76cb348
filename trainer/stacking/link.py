"""What parts of a prediction add up to: the label, or its log-odds."""

from typing import Final, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy import optimize, special

from config.tasks import PointwiseTask, RegressionTask

_Floats = NDArray[np.float64]

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

    def weights(
        self, parts: _Floats, label: _Floats, start: float, prior: _Floats, spread: float, signs: bool
    ) -> _Floats:
        """The most likely weights [P] of parts [E, P] for labels [E].

        Args:
            parts: what the weights multiply.
            label: what is to be predicted.
            start: what the weighted parts are added to.
            prior: float [P], what the weights are expected to be.
            spread: the standard deviation around that.
            signs: whether they may be below 0.
        """

    def losses(self, total: _Floats, label: _Floats) -> _Floats:
        """Of the parts' sums [E] for labels [E]: what is summed over events."""

    def summed(self, losses: _Floats) -> float:
        """The losses of events as one metric, `measure`."""

    def error(self, total: _Floats, label: _Floats) -> float:
        """`summed` of the losses."""


class LabelLink:
    """The parts add up to the label, between bounds: least squares."""

    measure = "rmse"

    def __init__(self, least: float | None, most: float | None) -> None:
        self._least, self._most = least, most
        self._bounds = -np.inf if least is None else least, np.inf if most is None else most

    def of(self, prediction: tf.Tensor) -> tf.Tensor:
        """The prediction itself."""
        return prediction

    def answer(self, total: tf.Tensor) -> tf.Tensor:
        """The sum inside the bounds."""
        total = total if self._least is None else tf.maximum(total, self._least)
        return total if self._most is None else tf.minimum(total, self._most)

    def weights(
        self, parts: _Floats, label: _Floats, start: float, prior: _Floats, spread: float, signs: bool
    ) -> _Floats:
        """Least squares with a normal prior, without weights below 0 where these are not wanted (Lawson and Hanson,
        "Solving least squares problems", 1974)."""
        pull = float(np.var(label)) / spread**2 + _SMALLEST
        precision = parts.T @ parts + pull * np.eye(len(prior))
        wanted = parts.T @ (label - start) + pull * prior
        if signs:
            return np.asarray(np.linalg.solve(precision, wanted))
        root = np.linalg.cholesky(precision)
        return np.asarray(optimize.nnls(root.T, np.linalg.solve(root, wanted))[0])

    def losses(self, total: _Floats, label: _Floats) -> _Floats:
        """The squared errors inside the bounds."""
        return np.asarray((label - np.clip(total, *self._bounds)) ** 2)

    def summed(self, losses: _Floats) -> float:
        """The root of the mean."""
        return float(np.sqrt(np.mean(losses)))

    def error(self, total: _Floats, label: _Floats) -> float:
        """The root of the mean squared error."""
        return self.summed(self.losses(total, label))


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

    def weights(
        self, parts: _Floats, label: _Floats, start: float, prior: _Floats, spread: float, signs: bool
    ) -> _Floats:
        """Logistic regression with a normal prior (Hosmer and Lemeshow, "Applied logistic regression")."""

        def loss(weights: _Floats) -> tuple[float, _Floats]:
            total, away = start + parts @ weights, (weights - prior) / spread
            slope = parts.T @ (special.expit(total) - label) + away / spread
            return float(self.losses(total, label).sum() + away @ away / 2), slope

        bounds = [(None if signs else 0.0, None)] * len(prior)
        first = prior if signs else np.maximum(prior, 0)
        return np.asarray(optimize.minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds).x)

    def losses(self, total: _Floats, label: _Floats) -> _Floats:
        """The negative logarithms of what the labels were given."""
        return np.asarray(np.logaddexp(0, total) - label * total)

    def summed(self, losses: _Floats) -> float:
        """Their mean."""
        return float(np.mean(losses))

    def error(self, total: _Floats, label: _Floats) -> float:
        """The mean negative logarithm of what the label was given."""
        return self.summed(self.losses(total, label))


def link_of(task: PointwiseTask) -> Link:
    """What the task's kind wants."""
    return LabelLink(task.min, task.max) if isinstance(task, RegressionTask) else LogOddsLink()
