"""Tastes of users and what items offer to them, learned from labels and from who interactions what."""

from typing import Final, NamedTuple

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as sparse_linalg
import tensorflow as tf
from numpy.typing import NDArray

_Floats = NDArray[np.float64]

_ROUNDS: Final = 40
_TRAITS: Final = 16
_RARE: Final = 10
"""Added to how often an item was interactions: rare ones say less of who interactions them."""
_RIDGE: Final = 30.0
"""Of the regressions on traits, whose variance is 1."""
_BLOCK: Final = 1 << 16


class Factors(NamedTuple):
    """A label lies `user_factors . item` residual its bias_terms, and `noise` around that.

    Before any label of a user is known, the user_factors is normal around `start + sum of profiles / sqrt(n + 1)`, over the n
    items that the user interactions, with covariance I.

    Attributes:
        item: float64 [V, D].
        profile: float64 [V, D].
        start: float64 [D].
        noise: the variance of labels around their expectation.
    """

    item: _Floats
    profile: _Floats
    start: _Floats
    noise: float


def fit_factors(residual: sp.csr_matrix, interactions: sp.csr_matrix, dimension: int) -> Factors:
    """Tastes and items by variational Bayes, each normal around what its traits let expect.

    Traits are the greatest singular vectors of who interactions what. What they let expect is a regression, and the spread
    around it is found as the rest is (Lim and Teh, "Variational Bayesian approach to movie rating prediction", 2007;
    Agarwal and Chen, "Regression-based latent factor models", 2009).

    Args:
        residual: float [U, V], labels without their bias_terms; what is not stored was not labelled.
        interactions: float [U, V], how often a user interactions an item, labelled or not.
        dimension: D.
    """
    residual = residual.astype(np.float64)  # squares of large labels are beyond float32
    scale = float(np.sqrt(np.mean(residual.data**2))) or 1.0
    labels = _Labels(residual / scale)
    traits = _traits(interactions)
    users = _Prior(traits.users, np.eye(dimension))
    items = _Prior(traits.items, np.eye(dimension) / 10)
    offered = np.random.default_rng(0).normal(scale=0.1, size=(residual.shape[1], dimension))
    moments, noise = _outer(offered), 1.0
    for _ in range(_ROUNDS):
        seen = labels.of_users(offered, moments, users, noise)
        noise = seen.noise
        users.learn(seen.mean, seen.covariance)
        offered, spread = _posterior(seen.item_moments / noise, seen.item_pull / noise, items)
        items.learn(offered, spread.sum(axis=0))
        moments = _outer(offered) + spread.reshape(len(spread), -1)
    root = np.linalg.cholesky(users.covariance)
    start, profile = users.weights[-1], traits.profile @ users.weights[:-1]
    start, profile = (np.linalg.solve(root, values.T).T for values in (start, profile))
    return Factors(offered @ root * scale, profile, start, noise * scale**2)


class _Traits(NamedTuple):
    """What is known of users and items without labels: float64 [U, T + 1] and [V, T + 1], the last column 1.

    A user's are the sum of the `profile` float64 [V, T] of the n items interactions, by sqrt(n + 1).
    """

    users: _Floats
    items: _Floats
    profile: _Floats


def _traits(interactions: sp.csr_matrix) -> _Traits:
    users, items = interactions.shape
    by_user = 1 / np.sqrt(np.asarray(interactions.sum(axis=1)).ravel() + 1)
    by_item = 1 / np.sqrt(np.asarray(interactions.sum(axis=0)).ravel() + _RARE)
    count = min(_TRAITS, min(interactions.shape) - 1) if interactions.nnz else 0
    vector, size = _singular(sp.diags(by_user) @ interactions.astype(np.float64) @ sp.diags(by_item), count)
    profile = vector / size * by_item[:, np.newaxis] * np.sqrt(users)
    user = (interactions @ profile) * by_user[:, np.newaxis]
    return _Traits(_with_ones(user), _with_ones(vector * np.sqrt(items)), profile)


def _singular(matrix: sp.csr_matrix, count: int) -> tuple[_Floats, _Floats]:
    """The greatest right singular vectors and values, [V, T] and [T]; less than `count` where the rank is less."""
    if not count:
        return np.zeros((matrix.shape[1], 0)), np.zeros(0)
    start = np.random.default_rng(0).normal(size=min(matrix.shape))
    _, size, vector = sparse_linalg.svds(matrix, k=count, v0=start)
    kept = size > 1e-6 * size.max()
    return vector[kept].T, size[kept]


def _with_ones(values: _Floats) -> _Floats:
    return np.concatenate([values, np.ones((len(values), 1))], axis=1)


class _Prior:
    """What is expected of N vectors by their traits: the regression's `weights` [T + 1, D], and `covariance` [D, D].

    Args:
        traits: float64 [N, T + 1].
        covariance: to start with.
    """

    def __init__(self, traits: _Floats, covariance: _Floats) -> None:
        self._traits = traits
        self._design = traits.T @ traits + _RIDGE * np.eye(traits.shape[1])
        self.covariance = covariance
        self.weights: _Floats = np.zeros((traits.shape[1], len(covariance)))
        self.mean = np.zeros((len(traits), len(covariance)))

    def learn(self, mean: _Floats, covariance: _Floats) -> None:
        """From the posterior means [N, D] and the sum of the posterior covariances [D, D]."""
        self.weights = np.asarray(np.linalg.solve(self._design, self._traits.T @ mean))
        self.mean = self._traits @ self.weights
        left = mean - self.mean
        self.covariance = (left.T @ left + covariance) / len(mean)


class _Seen(NamedTuple):
    """Of one look at all users: their posterior `mean` [U, D], the sum of their covariances [D, D], what they tell of
    items (moments [V, D D] and pull [V, D]), and the labels' variance."""

    mean: _Floats
    covariance: _Floats
    item_moments: _Floats
    item_pull: _Floats
    noise: float


class _Labels:
    """The labels of all users, looked at in blocks of users, since a user's moments are D x D.

    Args:
        residual: float [U, V].
    """

    def __init__(self, residual: sp.csr_matrix) -> None:
        self._above = residual.astype(np.float64).tocsr()
        self._is_labelled = self._above.copy()
        self._is_labelled.data[:] = 1

    def of_users(self, item: _Floats, item_moments: _Floats, prior: _Prior, noise: float) -> _Seen:
        """The users' posteriors, given the items' means [V, D] and second moments [V, D D]."""
        users, dimension = self._above.shape[0], item.shape[1]
        mean, moments, pull = np.zeros((users, dimension)), np.zeros_like(item_moments), np.zeros_like(item)
        covariance: _Floats = np.zeros((dimension, dimension))
        left = float((self._above.data**2).sum())
        for start in range(0, users, _BLOCK):
            rows = slice(start, start + _BLOCK)
            residual, is_labelled = self._above[rows], self._is_labelled[rows]
            gram, own = is_labelled @ item_moments, residual @ item
            mean[rows], spread = _posterior(gram / noise, own / noise, prior, rows)
            own_moments = _outer(mean[rows]) + spread.reshape(len(spread), -1)
            left += float((own_moments * gram).sum() - 2 * (mean[rows] * own).sum())
            moments += is_labelled.T @ own_moments
            pull += residual.T @ mean[rows]
            covariance += spread.sum(axis=0)
        return _Seen(mean, covariance, moments, pull, max(left / max(self._above.nnz, 1), 1e-6))


def _posterior(gram: _Floats, pull: _Floats, prior: _Prior, rows: slice = slice(None)) -> tuple[_Floats, _Floats]:
    """Means [N, D] and covariances [N, D, D] from what labels tell, [N, D D] and [N, D], by their noise."""
    precision = np.linalg.inv(prior.covariance)
    covariance = np.linalg.inv(gram.reshape(len(gram), *precision.shape) + precision)
    mean = np.einsum("nde,ne->nd", covariance, pull + prior.mean[rows] @ precision)
    return mean, covariance


def _outer(vectors: _Floats) -> _Floats:
    """float [N, D] -> [N, D D], each by itself."""
    return (vectors[:, :, np.newaxis] * vectors[:, np.newaxis]).reshape(len(vectors), -1)


class UserFactors(tf.Module):
    """A user_factors found from the history alone, so that users whom training never saw have one too.

    Args:
        factors: of the V items.
    """

    def __init__(self, factors: Factors) -> None:
        super().__init__(name="user_factors")
        self._size, self._noise = len(factors.item), factors.noise
        self._start = tf.constant(factors.start, tf.float32)
        with self.name_scope:
            self._item = _table(factors.item, "item_factors")
            self._profile = _table(factors.profile, "item_profiles")

    def of(self, history: tf.Tensor, is_observed: tf.Tensor, residual: tf.Tensor) -> tf.Tensor:
        """The mean of a user_factors's posterior.

        Args:
            history: int64 [B, L] in [0, V], V for none.
            is_observed: bool [B, L], whose label is known.
            residual: float [B, L], how far it is above the bias_terms.

        Returns:
            float [B, D].
        """
        factors = tf.gather(self._item, history) * tf.cast(is_observed, tf.float32)[..., tf.newaxis]
        precision = tf.matmul(factors, factors, transpose_a=True) / self._noise + tf.eye(factors.shape[-1])
        pull = tf.linalg.matvec(factors, residual, transpose_a=True) / self._noise + self._expected(history)
        return tf.linalg.cholesky_solve(tf.linalg.cholesky(precision), pull[..., tf.newaxis])[..., 0]

    def residual(self, user_factors: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        """The expected label above the bias_terms: float [B, D] and int64 [B, N] in [0, V] -> float [B, N], 0 for V."""
        return tf.linalg.matvec(tf.gather(self._item, item), user_factors)

    def _expected(self, history: tf.Tensor) -> tf.Tensor:
        """float [B, D] before any label."""
        count = tf.math.count_nonzero(history < self._size, axis=1, keepdims=True, dtype=tf.float32)
        return self._start + tf.reduce_sum(tf.gather(self._profile, history), axis=1) / tf.sqrt(count + 1)


def _table(values: NDArray[np.float64], name: str) -> tf.Variable:
    """[V, D] with a row of zeros for the unknown item."""
    return tf.Variable(np.pad(values, [(0, 1), (0, 0)]).astype(np.float32), trainable=False, name=name)
