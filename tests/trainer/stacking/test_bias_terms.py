import numpy as np
import pytest
import scipy.sparse as sp

from tests.trainer.small import ITEMS, USERS, draw_row, small_config, small_spec, write_rows
from trainer.data.dataset import WindowData
from trainer.stacking import bias_terms
from trainer.stacking.bias_terms import TrainLabels, fit_bias_terms, read_labels


def labels(user, item, label):
    return TrainLabels(np.asarray(user), np.asarray(item), np.asarray(label, float), {}, np.zeros([0, 2], np.int64))


def drawn(events, user_spread, item_spread, noise, users=60, items=40):
    rng = np.random.default_rng(3)
    own, theirs = rng.normal(0, user_spread, users), rng.normal(0, item_spread, items)
    user, item = rng.integers(0, users, events), rng.integers(0, items, events)
    return own, theirs, labels(user, item, 3 + own[user] + theirs[item] + rng.normal(0, noise, events))


def test_many_labels_determine_the_bias_terms():
    own, theirs, data = drawn(20000, 0.7, 0.4, 0.5)
    found = fit_bias_terms(data, 60, 40)
    np.testing.assert_allclose(found.predict(np.arange(40), np.arange(40)), 3 + own[:40] + theirs, atol=0.15)


def test_bias_terms_of_noise_are_shrunk_to_zero():
    *_, data = drawn(300, 0.0, 0.0, 1.0)
    found = fit_bias_terms(data, 60, 40)
    unshrunk = [data.label[data.user == u].mean() for u in range(60) if (data.user == u).any()]
    assert np.std(found.user) < 0.3 * np.std(unshrunk)


def test_shrinking_predicts_new_labels_better_than_the_mean_and_than_means():
    own, theirs, data = drawn(400, 0.7, 0.4, 0.8)
    found = fit_bias_terms(data, 60, 40)
    user, item = np.divmod(np.arange(60 * 40), 40)
    truth = 3 + own[user] + theirs[item]
    counts = np.maximum(np.bincount(data.user, minlength=60), 1)
    means = np.bincount(data.user, data.label - data.label.mean(), 60) / counts
    errors = [
        np.mean((guess - truth) ** 2) for guess in (found.predict(user, item), found.mean, found.mean + means[user])
    ]
    assert errors[0] < 0.7 * min(errors[1:])


def test_users_and_items_without_labels_have_no_bias():
    found = fit_bias_terms(labels([0, 0, 1], [0, 1, 0], [5, 4, 1]), 3, 4)
    assert found.user.shape == (4,)
    assert found.item.shape == (5,)
    assert found.mean == pytest.approx(10 / 3)
    np.testing.assert_array_equal(found.user[2:], 0)
    np.testing.assert_array_equal(found.item[2:], 0)


def test_equal_labels_have_no_bias_terms():
    found = fit_bias_terms(labels([0, 1], [0, 1], [4, 4]), 2, 2)
    np.testing.assert_allclose(found.predict(np.array([0, 1, 2]), np.array([0, 1, 2])), 4)


def test_an_item_with_few_labels_is_expected_to_be_like_others_of_its_author():
    rng = np.random.default_rng(5)
    author = np.arange(200) % 10
    truth = rng.normal(0, 0.8, 10)[author] + rng.normal(0, 0.1, 200)
    user, item = rng.integers(0, 50, 600), rng.integers(0, 190, 600)
    data = labels(user, item, 3 + truth[item] + rng.normal(0, 0.5, 600))
    of_author = sp.csr_matrix((np.ones(200), (np.arange(200), author)), shape=(201, 10))
    found = fit_bias_terms(data, 50, 200, [of_author])
    alone = fit_bias_terms(data, 50, 200)
    assert np.std(found.item[:200] - truth) < 0.6 * np.std(alone.item[:200] - truth)
    np.testing.assert_allclose(found.item[190:200], truth[190:] - (found.mean - 3), atol=0.5)  # those without a label
    assert found.item[200] == 0


def test_bias_terms_of_several_values_solve_the_shrunk_least_squares(monkeypatch):
    rng = np.random.default_rng(6)
    genres = np.where(rng.random((30, 4)) < 0.6, 1.0, 0.0)
    genres /= np.sqrt(np.maximum(genres.sum(axis=1, keepdims=True), 1))
    user, item = rng.integers(0, 20, 900), rng.integers(0, 30, 900)
    data = labels(user, item, rng.normal(size=900) + genres[item] @ [1.0, -1.0, 0.5, 0.0])
    monkeypatch.setattr(bias_terms, "_ROUNDS", 2000)
    monkeypatch.setattr(bias_terms._RandomEffects, "update_shrinkage", lambda self, noise: None)  # stays 5
    found = fit_bias_terms(data, 20, 30, [sp.csr_matrix(np.vstack([genres, np.zeros(4)]))])
    design = np.hstack([genres[item], np.eye(30)[item], np.eye(20)[user]])
    solved = np.linalg.solve(design.T @ design + 5 * np.eye(54), design.T @ (data.label - found.mean))
    np.testing.assert_allclose(found.item[:30], genres @ solved[:4] + solved[4:34], atol=1e-4)
    np.testing.assert_allclose(found.user[:20], solved[34:], atol=1e-4)


def test_labels_are_those_of_known_targets(tmp_path):
    row = draw_row(np.random.default_rng(0), 4, user_id=[2], item_id=[3, 5, ITEMS, 1], is_target=[0, 1, 1, 1])
    row |= {"label_rating": [1.0, 2.0, 3.0, 4.0], "weight_rating": [1.0, 1.0, 1.0, 0.0], "outcome_stars": [1, 2, 3, 4]}
    row |= {"is_positive": [1, 1, 1, 1]}
    stranger = draw_row(np.random.default_rng(0), 2, user_id=[USERS])
    spec = small_spec(small_config())
    data = WindowData([write_rows(tmp_path / "a.gz", [row, stranger])], spec)
    found = read_labels(data, ["like", "rating"], ["outcome_stars"], spec)["rating"]
    assert (found.user.tolist(), found.item.tolist(), found.label.tolist()) == ([2], [5], [2.0])
    assert found.outcomes["outcome_stars"].tolist() == [2]
    assert found.positives.tolist() == [[2, 5], [2, 1]]


def test_repeated_interactions_are_counted():
    positives = np.array([[0, 3], [0, 3], [1, 2]])
    labels = TrainLabels(np.zeros(0, int), np.zeros(0, int), np.zeros(0), {}, positives)
    np.testing.assert_array_equal(labels.interactions(2, 4).toarray(), [[0, 0, 0, 2], [0, 0, 1, 0]])


def test_a_pair_with_several_labels_has_their_mean():
    labels = TrainLabels(np.array([0, 0, 1]), np.array([3, 3, 2]), np.zeros(3), {}, np.zeros([0, 2], np.int64))
    found = labels.to_matrix(np.array([1.0, 4.0, 7.0]), 2, 4).toarray()
    np.testing.assert_array_equal(found, [[0, 0, 0, 2.5], [0, 0, 7, 0]])
