import numpy as np
import pytest

from trainer.habits.labels import TrainLabels
from trainer.habits.levels import fit_levels


def labels(user, item, label):
    return TrainLabels(np.asarray(user), np.asarray(item), np.asarray(label, float), {})


def drawn(events, user_spread, item_spread, noise, users=60, items=40):
    rng = np.random.default_rng(3)
    own, theirs = rng.normal(0, user_spread, users), rng.normal(0, item_spread, items)
    user, item = rng.integers(0, users, events), rng.integers(0, items, events)
    return own, theirs, labels(user, item, 3 + own[user] + theirs[item] + rng.normal(0, noise, events))


def test_many_labels_show_the_levels():
    own, theirs, data = drawn(20000, 0.7, 0.4, 0.5)
    found = fit_levels(data, 60, 40)
    np.testing.assert_allclose(found.of(np.arange(40), np.arange(40)), 3 + own[:40] + theirs, atol=0.15)


def test_levels_that_are_chance_are_shrunk_away():
    *_, data = drawn(300, 0.0, 0.0, 1.0)
    found = fit_levels(data, 60, 40)
    unshrunk = [data.label[data.user == u].mean() for u in range(60) if (data.user == u).any()]
    assert np.std(found.user) < 0.3 * np.std(unshrunk)


def test_shrinking_predicts_new_labels_better_than_the_mean_and_than_means():
    own, theirs, data = drawn(400, 0.7, 0.4, 0.8)
    found = fit_levels(data, 60, 40)
    user, item = np.divmod(np.arange(60 * 40), 40)
    truth = 3 + own[user] + theirs[item]
    counts = np.maximum(np.bincount(data.user, minlength=60), 1)
    means = np.bincount(data.user, data.label - data.label.mean(), 60) / counts
    errors = [np.mean((guess - truth) ** 2) for guess in (found.of(user, item), found.mean, found.mean + means[user])]
    assert errors[0] < 0.7 * min(errors[1:])


def test_who_has_no_label_is_at_the_mean():
    found = fit_levels(labels([0, 0, 1], [0, 1, 0], [5, 4, 1]), 3, 4)
    assert found.user.shape == (4,)
    assert found.item.shape == (5,)
    assert found.mean == pytest.approx(10 / 3)
    np.testing.assert_array_equal(found.user[2:], 0)
    np.testing.assert_array_equal(found.item[2:], 0)


def test_labels_that_are_all_the_same_have_no_levels():
    found = fit_levels(labels([0, 1], [0, 1], [4, 4]), 2, 2)
    np.testing.assert_allclose(found.of(np.array([0, 1, 2]), np.array([0, 1, 2])), 4)
