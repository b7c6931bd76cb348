import math

import numpy as np
import pytest
import scipy.sparse as sp

from benchmarks.peers.raters import SVD, BiasModel
from benchmarks.peers.rating import RatingEvaluation, Ratings, choose, metrics


def ratings(table):
    """A table of users by items, 0 where there is no rating."""
    table = np.array(table, np.float32)
    user, item = np.nonzero(table)
    features = [sp.csr_matrix((size, 0), dtype=np.float32) for size in table.shape]
    return Ratings(user, item, table[user, item], *features)


def test_the_bias_model_reproduces_additive_ratings():
    model = BiasModel(user_damping=0, item_damping=0, rounds=50)
    model.fit(ratings([[1, 2, 3], [2, 3, 4], [3, 4, 0]]))
    assert model.predict(np.array([2, 0]), np.array([2, 1])) == pytest.approx([5, 2], abs=1e-6)


def test_damping_draws_biases_to_the_mean_by_hand():
    model = BiasModel(user_damping=1e9, item_damping=1, rounds=1)
    model.fit(ratings([[1, 5], [1, 5]]))
    # Item residuals are -2 and 2, two ratings each, one more at the mean.
    assert model.predict(np.array([0, 0]), np.array([0, 1])) == pytest.approx([3 - 4 / 3, 3 + 4 / 3])


def low_rank():
    preference = np.array([1, -1, 1, -1, 1, -1, 1, -1])
    kind = np.array([1, 1, 1, 1, -1, -1, -1, -1])
    return 3 + np.outer(preference, kind)


def test_svd_finds_the_ratings_that_are_left_out_of_a_matrix_of_low_rank():
    table = low_rank()
    left_out = table.copy()
    np.fill_diagonal(left_out, 0)
    model = SVD(factors=1, l2=0.01, bias_l2=0.1)
    model.fit(ratings(left_out))
    diagonal = np.arange(8)
    assert model.predict(diagonal, diagonal) == pytest.approx(np.diag(table), abs=0.3)


def test_users_and_items_without_ratings_get_the_other_sides_bias():
    model = SVD(factors=2)
    model.fit(ratings([[4, 2, 0], [5, 1, 0], [0, 0, 0]]))
    mean = 3.0
    assert model.predict(np.array([2]), np.array([2]))[0] == pytest.approx(mean)
    assert model.predict(np.array([2]), np.array([0]))[0] > mean


def test_the_candidate_with_the_smallest_error_is_chosen():
    training = ratings([[1, 2, 3], [2, 3, 4], [3, 4, 0]])
    evaluation = RatingEvaluation(training, np.array([2]), np.array([2]), np.array([5.0]))
    free, shrunk = BiasModel(0, 0), BiasModel(1e9, 1e9)
    assert choose([shrunk, free], evaluation) is free
    free.fit(training)
    # The prediction is 5, clipped to the greatest rating seen.
    assert metrics(free, evaluation)["all"]["rmse"].mean == pytest.approx(1)
    assert math.isnan(metrics(free, evaluation)["all"]["rmse"].error)


@pytest.mark.parametrize("everything", [False, True])
def test_the_bayesian_fm_finds_left_out_ratings(everything):
    bayesian_fm = pytest.importorskip("benchmarks.peers.bayesian_fm", reason="needs `myfm`: pip install -e .[bench]")
    left_out = low_rank()
    np.fill_diagonal(left_out, 0)
    model = bayesian_fm.BayesianFM(rank=2, samples=200, everything=everything)
    model.fit(ratings(left_out))
    diagonal = np.arange(8)
    # Biases alone are about 3 everywhere; the truth is 2 or 4.
    assert np.sign(model.predict(diagonal, diagonal) - 3).tolist() == np.sign(np.diag(low_rank()) - 3).tolist()
