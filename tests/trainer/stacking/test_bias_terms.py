import numpy as np
import pytest
import scipy.sparse as sp

from trainer.stacking import bias_terms
from trainer.stacking.bias_terms import fit_bias_terms
from trainer.stacking.labels import TrainLabels


def labels(user, item, label):
    return TrainLabels(np.asarray(user), np.asarray(item), np.asarray(label, float), {}, np.zeros([0, 2], np.int64))


def drawn(events, user_spread, item_spread, noise, users=60, items=40):
    rng = np.random.default_rng(3)
    own, theirs = rng.normal(0, user_spread, users), rng.normal(0, item_spread, items)
    user, item = rng.integers(0, users, events), rng.integers(0, items, events)
    return own, theirs, labels(user, item, 3 + own[user] + theirs[item] + rng.normal(0, noise, events))


def test_many_labels_show_the_levels():
    own, theirs, data = drawn(20000, 0.7, 0.4, 0.5)
    found = fit_bias_terms(data, 60, 40)
    np.testing.assert_allclose(found.of(np.arange(40), np.arange(40)), 3 + own[:40] + theirs, atol=0.15)


def test_levels_that_are_chance_are_shrunk_away():
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
    errors = [np.mean((guess - truth) ** 2) for guess in (found.of(user, item), found.mean, found.mean + means[user])]
    assert errors[0] < 0.7 * min(errors[1:])


def test_who_has_no_label_is_at_the_mean():
    found = fit_bias_terms(labels([0, 0, 1], [0, 1, 0], [5, 4, 1]), 3, 4)
    assert found.user.shape == (4,)
    assert found.item.shape == (5,)
    assert found.mean == pytest.approx(10 / 3)
    np.testing.assert_array_equal(found.user[2:], 0)
    np.testing.assert_array_equal(found.item[2:], 0)


def test_labels_that_are_all_the_same_have_no_levels():
    found = fit_bias_terms(labels([0, 1], [0, 1], [4, 4]), 2, 2)
    np.testing.assert_allclose(found.of(np.array([0, 1, 2]), np.array([0, 1, 2])), 4)


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


def test_levels_of_several_values_solve_the_shrunk_least_squares(monkeypatch):
    rng = np.random.default_rng(6)
    genres = np.where(rng.random((30, 4)) < 0.6, 1.0, 0.0)
    genres /= np.sqrt(np.maximum(genres.sum(axis=1, keepdims=True), 1))
    user, item = rng.integers(0, 20, 900), rng.integers(0, 30, 900)
    data = labels(user, item, rng.normal(size=900) + genres[item] @ [1.0, -1.0, 0.5, 0.0])
    monkeypatch.setattr(bias_terms, "_ROUNDS", 2000)
    monkeypatch.setattr(bias_terms._Side, "damp", lambda self, noise: None)  # the damping stays 5
    found = fit_bias_terms(data, 20, 30, [sp.csr_matrix(np.vstack([genres, np.zeros(4)]))])
    design = np.hstack([genres[item], np.eye(30)[item], np.eye(20)[user]])
    solved = np.linalg.solve(design.T @ design + 5 * np.eye(54), design.T @ (data.label - found.mean))
    np.testing.assert_allclose(found.item[:30], genres @ solved[:4] + solved[4:34], atol=1e-4)
    np.testing.assert_allclose(found.user[:20], solved[34:], atol=1e-4)
