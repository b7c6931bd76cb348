"""Latent factors of users and items, by variational Bayes, and a user's factors computed from a history."""

from typing import Final, NamedTuple

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as sparse_linalg
import tensorflow as tf
from numpy.typing import NDArray

_Floats = NDArray[np.float64]

_ROUNDS: Final = 40
_COVARIATES: Final = 16
_RARE: Final = 10
"""Added to an item's number of interactions, so that rare items weigh less in the covariates."""
_RIDGE: Final = 30.0
"""The ridge penalty of the regressions on covariates, whose variance is 1."""
_BLOCK: Final = 1 << 16
"""Users per block: each user's second moments take D x D numbers."""


class Factors(NamedTuple):
    """A factor model of labels: r_ui = mu + b_u + b_i + p_u . q_i + e with e ~ N(0, noise).

    A user's factors have the prior p_u ~ N(start + sum_j y_j / sqrt(n + 1), I) over the n items j that the user
    interacted with, labelled or not, as in SVD++ (Koren, "Factorization meets the neighborhood", 2008).

    Attributes:
        item: q, float64 [V, D].
        implicit: y, float64 [V, D].
        start: float64 [D].
        noise: The variance of labels around their expectation.
    """

    item: _Floats
    implicit: _Floats
    start: _Floats
    noise: float


def fit_factors(residual: sp.csr_matrix, interactions: sp.csr_matrix, dimension: int) -> Factors:
    """Fits the factors of users and items by variational Bayes with regressions as priors.

    (Lim and Teh, "Variational Bayesian approach to movie rating prediction", 2007; Agarwal and Chen, "Regression-based
    latent factor models", 2009.) Users and items in turn get normal posteriors. The mean of each prior is a regression
    on covariates, the leading singular vectors of the interactions; its covariance and the noise are estimated by
    expectation maximisation.

    Args:
        residual: float [U, V], labels less their bias terms; cells that are not stored have no label.
        interactions: float [U, V], the number of positive events, labelled or not.
        dimension: D.
    """
    residual = residual.astype(np.float64)  # the squares of large labels are beyond float32
    scale = float(np.sqrt(np.mean(residual.data**2))) or 1.0
    labels = _Labels(residual / scale)
    covariates = _covariates(interactions)
    users = _Prior(covariates.users, np.eye(dimension))
    items = _Prior(covariates.items, np.eye(dimension) / 10)
    item = np.random.default_rng(0).normal(scale=0.1, size=(residual.shape[1], dimension))
    moments, noise = _outer(item), 1.0
    for _ in range(_ROUNDS):
        step = labels.infer_users(item, moments, users, noise)
        noise = step.noise
        users.fit(step.mean, step.covariance)
        item, covariance = _posterior(step.item_moments / noise, step.item_pull / noise, items)
        items.fit(item, covariance.sum(axis=0))
        moments = _outer(item) + covariance.reshape(len(covariance), -1)
    # Whitens the users' prior: p . q stays the same with p = root^-1 p and q = root^T q.
    root = np.linalg.cholesky(users.covariance)
    start, implicit = users.weights[-1], covariates.implicit @ users.weights[:-1]
    start, implicit = (np.linalg.solve(root, values.T).T for values in (start, implicit))
    return Factors(item @ root * scale, implicit, start, noise * scale**2)


class _Covariates(NamedTuple):
    """What is known of users and items without labels, scaled to variance 1.

    Attributes:
        users: float64 [U, T + 1], the last column 1. A user's are the sum of `implicit` over the n items that the user
            interacted with, divided by sqrt(n + 1).
        items: float64 [V, T + 1], the last column 1.
        implicit: float64 [V, T].
    """

    users: _Floats
    items: _Floats
    implicit: _Floats


def _covariates(interactions: sp.csr_matrix) -> _Covariates:
    users, items = interactions.shape
    by_user = 1 / np.sqrt(np.asarray(interactions.sum(axis=1)).ravel() + 1)
    by_item = 1 / np.sqrt(np.asarray(interactions.sum(axis=0)).ravel() + _RARE)
    count = min(_COVARIATES, min(interactions.shape) - 1) if interactions.nnz else 0
    vector, size = _right_singular(sp.diags(by_user) @ interactions.astype(np.float64) @ sp.diags(by_item), count)
    implicit = vector / size * by_item[:, np.newaxis] * np.sqrt(users)
    of_user = (interactions @ implicit) * by_user[:, np.newaxis]
    ones = np.ones((users, 1)), np.ones((items, 1))
    of_item = vector * np.sqrt(items)
    return _Covariates(np.concatenate([of_user, ones[0]], axis=1), np.concatenate([of_item, ones[1]], axis=1), implicit)


def _right_singular(matrix: sp.csr_matrix, count: int) -> tuple[_Floats, _Floats]:
    """Finds the leading right singular vectors [V, T] and values [T]; fewer than `count` if the rank is lower."""
    if not count:
        return np.zeros((matrix.shape[1], 0)), np.zeros(0)
    start = np.random.default_rng(0).normal(size=min(matrix.shape))
    _, size, vector = sparse_linalg.svds(matrix, k=count, v0=start)
    kept = size > 1e-6 * size.max()
    return vector[kept].T, size[kept]


class _Prior:
    """The normal prior of N vectors: a ridge regression on covariates as mean, and a common covariance.

    Args:
        covariates: float64 [N, T + 1].
        covariance: float64 [D, D], the initial one.

    Attributes:
        weights: float64 [T + 1, D], the regression's coefficients.
        mean: float64 [N, D].
    """

    def __init__(self, covariates: _Floats, covariance: _Floats) -> None:
        self._covariates = covariates
        self._gram = covariates.T @ covariates + _RIDGE * np.eye(covariates.shape[1])
        self.covariance = covariance
        self.weights: _Floats = np.zeros((covariates.shape[1], len(covariance)))
        self.mean = np.zeros((len(covariates), len(covariance)))

    def fit(self, mean: _Floats, covariance: _Floats) -> None:
        """Fits the prior to posterior means [N, D] and the sum of the posterior covariances [D, D]."""
        self.weights = np.asarray(np.linalg.solve(self._gram, self._covariates.T @ mean))
        self.mean = self._covariates @ self.weights
        residual = mean - self.mean
        self.covariance = (residual.T @ residual + covariance) / len(mean)


class _UserStep(NamedTuple):
    """The users' posteriors, and the statistics of them that the items' posteriors need.

    Attributes:
        mean: float64 [U, D].
        covariance: float64 [D, D], the sum over users.
        item_moments: float64 [V, D D], the sum of E[p p^T] over the users that labelled an item.
        item_pull: float64 [V, D], the sum of r E[p] over them.
        noise: The labels' variance around their expectation.
    """

    mean: _Floats
    covariance: _Floats
    item_moments: _Floats
    item_pull: _Floats
    noise: float


class _Labels:
    """The labels of all users.

    Args:
        residual: float [U, V].
    """

    def __init__(self, residual: sp.csr_matrix) -> None:
        self._residual = residual.astype(np.float64).tocsr()
        self._is_labelled = self._residual.copy()
        self._is_labelled.data[:] = 1

    def infer_users(self, item: _Floats, item_moments: _Floats, prior: _Prior, noise: float) -> _UserStep:
        """Computes the users' posteriors, given the items' means [V, D] and second moments [V, D D]."""
        users, dimension = self._residual.shape[0], item.shape[1]
        mean, moments, pull = np.zeros((users, dimension)), np.zeros_like(item_moments), np.zeros_like(item)
        covariance: _Floats = np.zeros((dimension, dimension))
        squares = float((self._residual.data**2).sum())
        for start in range(0, users, _BLOCK):
            rows = slice(start, start + _BLOCK)
            residual, is_labelled = self._residual[rows], self._is_labelled[rows]
            gram, own = is_labelled @ item_moments, residual @ item
            mean[rows], spread = _posterior(gram / noise, own / noise, prior, rows)
            own_moments = _outer(mean[rows]) + spread.reshape(len(spread), -1)
            # The expected squared error: sum r^2 - 2 r p.q + tr(E[p p^T] E[q q^T]).
            squares += float((own_moments * gram).sum() - 2 * (mean[rows] * own).sum())
            moments += is_labelled.T @ own_moments
            pull += residual.T @ mean[rows]
            covariance += spread.sum(axis=0)
        return _UserStep(mean, covariance, moments, pull, max(squares / max(self._residual.nnz, 1), 1e-6))


def _posterior(gram: _Floats, pull: _Floats, prior: _Prior, rows: slice = slice(None)) -> tuple[_Floats, _Floats]:
    """Computes normal posteriors: covariance (G + S^-1)^-1 and mean covariance (h + S^-1 m), for a prior N(m, S).

    Args:
        gram: G, float64 [N, D D], the labels' precision.
        pull: h, float64 [N, D], the labels' precision times their mean.
        prior: The vectors' prior.
        rows: The N rows of the prior.

    Returns:
        The means [N, D] and covariances [N, D, D].
    """
    precision = np.linalg.inv(prior.covariance)
    covariance = np.linalg.inv(gram.reshape(len(gram), *precision.shape) + precision)
    mean = np.einsum("nde,ne->nd", covariance, pull + prior.mean[rows] @ precision)
    return mean, covariance


def _outer(vectors: _Floats) -> _Floats:
    """Computes the outer product of each vector with itself: float [N, D] -> [N, D D]."""
    return (vectors[:, :, np.newaxis] * vectors[:, np.newaxis]).reshape(len(vectors), -1)


class UserFactors(tf.Module):
    """Computes a user's factors from the history alone, so that users whom training never saw have factors too.

    Args:
        factors: The factors of the V items and the prior of users.
    """

    def __init__(self, factors: Factors) -> None:
        super().__init__(name="user_factors")
        self._size, self._noise = len(factors.item), factors.noise
        self._start = tf.constant(factors.start, tf.float32)
        with self.name_scope:
            self._item = _item_table(factors.item, "item_factors")
            self._implicit = _item_table(factors.implicit, "item_profiles")

    @property
    def arrays(self) -> dict[str, tf.Variable]:
        """`item` and `implicit` of `Factors` with the unknown item's row, by a name."""
        return {"item_factors": self._item, "item_profiles": self._implicit}

    @property
    def start(self) -> list[float]:
        """`start` of `Factors`."""
        return [float(value) for value in self._start.numpy()]

    @property
    def noise(self) -> float:
        """`noise` of `Factors`."""
        return float(self._noise)

    def infer(self, history: tf.Tensor, is_observed: tf.Tensor, residual: tf.Tensor) -> tf.Tensor:
        """Computes the posterior mean (Q^T Q / noise + I)^-1 (Q^T r / noise + prior mean) of users' factors.

        Args:
            history: int64 [B, L] in [0, V], V for no item.
            is_observed: bool [B, L], whether the event's label is known.
            residual: float [B, L], labels less their bias terms.

        Returns:
            float [B, D].
        """
        factors = tf.gather(self._item, history) * tf.cast(is_observed, tf.float32)[..., tf.newaxis]
        precision = tf.matmul(factors, factors, transpose_a=True) / self._noise + tf.eye(factors.shape[-1])
        count = tf.math.count_nonzero(history < self._size, axis=1, keepdims=True, dtype=tf.float32)
        prior = self._start + tf.reduce_sum(tf.gather(self._implicit, history), axis=1) / tf.sqrt(count + 1)
        pull = tf.linalg.matvec(factors, residual, transpose_a=True) / self._noise + prior
        return tf.linalg.cholesky_solve(tf.linalg.cholesky(precision), pull[..., tf.newaxis])[..., 0]

    def contribution(self, user_factors: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        """Computes p . q: float [B, D] and int64 [B, N] in [0, V] -> float [B, N], 0 for the unknown item V."""
        return tf.linalg.matvec(tf.gather(self._item, item), user_factors)


def _item_table(values: _Floats, name: str) -> tf.Variable:
    """Adds a row of zeros for the unknown item: [V, D] -> [V + 1, D]."""
    return tf.Variable(np.pad(values, [(0, 1), (0, 0)]).astype(np.float32), trainable=False, name=name)
