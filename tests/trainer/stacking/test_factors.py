import numpy as np
import pytest
import scipy.sparse as sp

from trainer.stacking import factors
from trainer.stacking.factors import fit_factors

USERS, ITEMS, NOISE = 300, 60, 0.5


def drawn(share, seed=0):
    """Labels by two factors; a share of the cells is labelled. Also what is expected of every cell."""
    rng = np.random.default_rng(seed)
    expected = rng.normal(size=(USERS, 2)) @ rng.normal(size=(2, ITEMS))
    labels = expected + rng.normal(scale=NOISE, size=expected.shape)
    is_known = rng.random(expected.shape) < share
    return sp.csr_matrix(np.where(is_known, labels, 0)), expected


def user_factors(found, residual, interactions):
    """float [U, D], each user's in turn."""
    for row in range(residual.shape[0]):
        own, items = residual[row], interactions[row].indices
        offered = found.item[own.indices]
        precision = np.eye(len(found.start)) + offered.T @ offered / found.noise
        expected = found.start + found.implicit[items].sum(axis=0) / np.sqrt(len(items) + 1)
        yield np.linalg.solve(precision, expected + offered.T @ own.data / found.noise)


def predictions(found, residual, interactions):
    return np.stack(list(user_factors(found, residual, interactions))) @ found.item.T


def ones(matrix):
    interactions = matrix.copy()
    interactions.data[:] = 1
    return interactions


def test_planted_factors_are_found():
    residual, expected = drawn(0.5)
    found = fit_factors(residual, ones(residual), 4)
    is_new = residual.toarray() == 0
    error = (predictions(found, residual, ones(residual)) - expected)[is_new]
    # Least squares with the true items would be wrong by NOISE * sqrt(2 / 30) = .13, without shrinkage.
    assert np.sqrt(np.mean(error**2)) < 0.2 < np.sqrt(np.mean(expected[is_new] ** 2))
    assert found.noise == pytest.approx(NOISE**2, rel=0.15)


def test_labels_that_are_noise_give_no_user_factors():
    rng = np.random.default_rng(0)
    residual = sp.csr_matrix(np.where(rng.random((USERS, ITEMS)) < 0.2, rng.normal(size=(USERS, ITEMS)), 0))
    found = predictions(fit_factors(residual, ones(residual), 4), residual, ones(residual))
    assert np.sqrt(np.mean(found**2)) < 0.25


def test_interactions_determine_the_factors_of_users_without_labels():
    """Two camps have items of their own besides the common ones, on which they disagree."""
    rng = np.random.default_rng(0)
    camp = np.arange(USERS) % 2
    is_common, home = np.arange(ITEMS) < 20, np.arange(ITEMS) % 2
    chance = np.where(is_common, 0.5, np.where(camp[:, np.newaxis] == home, 0.6, 0.05))
    interactions = rng.random((USERS, ITEMS)) < chance
    liked = np.where(camp[:, np.newaxis] == home, 1.0, -1.0)
    is_labelled = interactions & is_common & (np.arange(USERS) < 250)[:, np.newaxis]
    residual = sp.csr_matrix(np.where(is_labelled, liked + rng.normal(scale=0.3, size=liked.shape), 0))
    interactions = sp.csr_matrix(interactions.astype(float))
    silent = predictions(fit_factors(residual, interactions, 2), residual, interactions)[250:, :20]
    np.testing.assert_array_equal(np.sign(silent), liked[250:, :20])


def test_blocks_of_users_change_nothing(monkeypatch):
    residual, _ = drawn(0.3)
    whole = fit_factors(residual, ones(residual), 3)
    monkeypatch.setattr(factors, "_BLOCK", 7)
    for one, other in zip(whole, fit_factors(residual, ones(residual), 3), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)


def test_labels_may_be_of_any_size():
    residual, _ = drawn(0.3)
    small, great = (fit_factors(residual * scale, ones(residual), 3) for scale in (1.0, 1000.0))
    one, other = (predictions(found, residual * s, ones(residual)) for found, s in ((small, 1.0), (great, 1000.0)))
    np.testing.assert_allclose(one, other / 1000, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("labels", "interactions"),
    [
        (np.eye(3), np.zeros((3, 3))),
        (np.ones((1, 1)), np.ones((1, 1))),
        (np.ones((1, 5)), np.ones((1, 5))),
        (np.full((4, 5), 1e-30), np.ones((4, 5))),
    ],
)
def test_the_smallest_logs_give_finite_factors(labels, interactions):
    found = fit_factors(sp.csr_matrix(labels), sp.csr_matrix(interactions), 8)
    assert all(np.isfinite(values).all() for values in found)


def test_residuals_of_zero_give_no_user_factors():
    residual = sp.csr_matrix((np.zeros(4), ([0, 0, 1, 1], [0, 1, 1, 2])), shape=(2, 3))
    found = fit_factors(residual, ones(residual), 2)
    np.testing.assert_allclose(predictions(found, residual, ones(residual)), 0, atol=1e-6)
