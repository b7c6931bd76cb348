"""The blended prediction of a task: the inverse link of a weighted sum of parts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy import optimize, special

from config.tasks import NETWORK, PointwiseTask, RegressionTask

_Floats = NDArray[np.float64]

_SMALLEST: Final = 1e-6
"""Probabilities are clipped to [1e-6, 1 - 1e-6]; also the least ridge penalty, which keeps weights unique."""


class _Link:
    """A link function g of a generalised linear model (Nelder and Wedderburn, "Generalized linear models", 1972)."""

    def losses(self, total: _Floats, label: _Floats) -> _Floats:
        """Computes the loss of each event: sums of parts [E], labels [E] -> float64 [E]."""
        raise NotImplementedError

    def summarise(self, losses: _Floats) -> float:
        """Computes the link's metric from the losses of events."""
        return float(np.mean(losses))

    def error(self, total: _Floats, label: _Floats) -> float:
        """Computes the link's metric of sums of parts [E] for labels [E]."""
        return self.summarise(self.losses(total, label))


class IdentityLink(_Link):
    """Parts add up to the label, which is clipped to bounds: least squares."""

    metric = "rmse"

    def __init__(self, least: float | None, most: float | None) -> None:
        self._least, self._most = least, most

    def apply(self, prediction: tf.Tensor) -> tf.Tensor:
        """Returns the prediction itself."""
        return prediction

    def inverse(self, total: tf.Tensor) -> tf.Tensor:
        """Clips the sum to the bounds."""
        total = total if self._least is None else tf.maximum(total, self._least)
        return total if self._most is None else tf.minimum(total, self._most)

    def fit_weights(
        self, parts: _Floats, label: _Floats, intercept: float, prior: _Floats, spread: float, allow_negative: bool
    ) -> _Floats:
        """Fits weights by ridge regression towards a prior: (X^T X + l I) w = X^T (y - intercept) + l prior.

        With l = var(y) / spread^2; without negative weights by NNLS of the Cholesky factor (Lawson and Hanson, "Solving
        least squares problems", 1974).

        Args:
            parts: X, float [E, P].
            label: y, float [E].
            intercept: Added to the weighted sum.
            prior: float [P], the mean of the weights' normal prior.
            spread: Its standard deviation.
            allow_negative: Whether weights may be below 0.

        Returns:
            float64 [P].
        """
        ridge = float(np.var(label)) / spread**2 + _SMALLEST
        precision = parts.T @ parts + ridge * np.eye(len(prior))
        target = parts.T @ (label - intercept) + ridge * prior
        if allow_negative:
            return np.asarray(np.linalg.solve(precision, target))
        root = np.linalg.cholesky(precision)
        return np.asarray(optimize.nnls(root.T, np.linalg.solve(root, target))[0])

    def losses(self, total: _Floats, label: _Floats) -> _Floats:
        """Computes the squared errors of the clipped sums."""
        least, most = -np.inf if self._least is None else self._least, np.inf if self._most is None else self._most
        return np.asarray((label - np.clip(total, least, most)) ** 2)

    def summarise(self, losses: _Floats) -> float:
        """Computes the root of the mean."""
        return float(np.sqrt(np.mean(losses)))


class LogitLink(_Link):
    """Parts add up to the log-odds of a positive label: logistic regression."""

    metric = "log loss"

    def apply(self, prediction: tf.Tensor) -> tf.Tensor:
        """Computes the log-odds of probabilities."""
        probability = tf.clip_by_value(prediction, _SMALLEST, 1 - _SMALLEST)
        return tf.math.log(probability) - tf.math.log1p(-probability)

    def inverse(self, total: tf.Tensor) -> tf.Tensor:
        """Computes probabilities."""
        return tf.sigmoid(total)

    def fit_weights(
        self, parts: _Floats, label: _Floats, intercept: float, prior: _Floats, spread: float, allow_negative: bool
    ) -> _Floats:
        """Fits weights by logistic regression with a normal prior; as `IdentityLink.fit_weights`."""

        def loss(weights: _Floats) -> tuple[float, _Floats]:
            total, distance = intercept + parts @ weights, (weights - prior) / spread
            slope = parts.T @ (special.expit(total) - label) + distance / spread
            return float(self.losses(total, label).sum() + distance @ distance / 2), slope

        bounds = [(None if allow_negative else 0.0, None)] * len(prior)
        first = prior if allow_negative else np.maximum(prior, 0)
        return np.asarray(optimize.minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds).x)

    def losses(self, total: _Floats, label: _Floats) -> _Floats:
        """Computes the cross-entropies log(1 + exp(total)) - label * total."""
        return np.asarray(np.logaddexp(0, total) - label * total)


Link = IdentityLink | LogitLink


def link_of(task: PointwiseTask) -> Link:
    """Returns the identity for regression tasks and the logit for binary ones."""
    return IdentityLink(task.min, task.max) if isinstance(task, RegressionTask) else LogitLink()


@dataclass
class Blend:
    """The weighted sum of a task's parts: y = g^-1(g(mu) + w_network (g(network) - g(mu)) + sum_p w_p part_p).

    Attributes:
        link: g.
        intercept: g(mu), of the task's mean label mu.
        weights: w by part, 0 for parts that are missing; None until they are chosen.
    """

    link: Link
    intercept: float
    weights: dict[str, float] | None = None

    @classmethod
    def for_task(cls, task: PointwiseTask, mean: float, weights: dict[str, float] | None) -> "Blend":
        """Builds the blend of a task whose labels have this mean."""
        link = link_of(task)
        return cls(link, float(link.apply(tf.constant(mean, tf.float32))), weights)

    @property
    def changes_network(self) -> bool:
        """Whether the blended prediction differs from the network's."""
        return self.weights not in (None, {}, {NETWORK: 1.0})

    def with_network(self, network: tf.Tensor, parts: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Adds the network's prediction, float [B, N], to the parts, on the link's scale and less the intercept."""
        return {NETWORK: self.link.apply(network) - self.intercept, **parts}

    def predict(self, network: tf.Tensor, parts: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Computes the blended prediction.

        Args:
            network: float [B, N], the network's prediction.
            parts: float [B, N] or [B, 1] by part.

        Returns:
            float [B, N].
        """
        known = self.with_network(network, parts)
        total = tf.zeros_like(network) + self.intercept
        for name, weight in (self.weights or {}).items():
            total += weight * known[name] if weight else 0.0
        return self.link.inverse(total)
