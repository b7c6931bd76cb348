import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from config.tasks import BinaryTask, RegressionTask
from trainer.stacking.blend import IdentityLink, LogitLink, link_of


def test_least_squares_of_many_events():
    parts = np.random.default_rng(0).normal(size=(5000, 3))
    found = IdentityLink(None, None).fit_weights(
        parts, 2 + parts @ [0.5, 0.3, -0.2], 2.0, np.zeros(3), 1.0, allow_negative=True
    )
    np.testing.assert_allclose(found, [0.5, 0.3, -0.2], atol=0.01)


def test_least_squares_are_shrunk_to_the_prior():
    label = np.array([1.0, 5.0])
    found = IdentityLink(None, None).fit_weights(
        np.array([[1.0, 0.0], [1.0, 0.0]]), label, 2.0, np.array([1.0, 0.5]), 2.0, True
    )
    # Of variance 4 by spread 2 the pull is 1: (2 + 1) w = (-1 + 3) + 1; the second part is constant.
    np.testing.assert_allclose(found, [1.0, 0.5], rtol=1e-5)
    wide = IdentityLink(None, None).fit_weights(
        np.array([[1.0], [1.0]]), np.array([1.0, 5.0]), 2.0, np.zeros(1), 1.0, True
    )
    np.testing.assert_allclose(wide, [2 / 6], rtol=1e-5)


def test_negative_weights_are_zero_if_they_are_not_allowed():
    parts = np.random.default_rng(0).normal(size=(5000, 2))
    for link, label in (
        (IdentityLink(None, None), parts @ [0.5, -0.5]),
        (LogitLink(), (parts @ [2.0, -2.0] > 0).astype(float)),
    ):
        free = link.fit_weights(parts, label, 0.0, np.zeros(2), 1.0, allow_negative=True)
        bound = link.fit_weights(parts, label, 0.0, np.zeros(2), 1.0, allow_negative=False)
        assert free[1] < -0.4
        assert bound[1] == 0
        assert bound[0] > 0.3


def test_log_odds_of_many_events_are_found_again():
    rng = np.random.default_rng(0)
    parts = rng.normal(size=(20000, 2))
    label = (rng.random(20000) < special.expit(-0.4 + parts @ [0.5, 1.5])).astype(float)
    found = LogitLink().fit_weights(parts, label, -0.4, np.zeros(2), 3.0, allow_negative=True)
    np.testing.assert_allclose(found, [0.5, 1.5], atol=0.1)


def test_weights_of_separable_labels_stay_finite():
    parts = np.array([[1.0], [-1.0]] * 3)
    found = LogitLink().fit_weights(parts, np.array([1.0, 0.0] * 3), 0.0, np.zeros(1), 2.0, allow_negative=True)
    # The prior's slope w / 4 and that of the 6 labels: w / 4 = 6 / (1 + exp(w)).
    assert found[0] / 4 == pytest.approx(6 * special.expit(-found[0]), abs=1e-4)


def test_a_constant_part_has_no_weight():
    parts = np.array([[1.0, 0.0], [-1.0, 0.0], [0.5, 0.0]])
    for link, label in ((IdentityLink(None, None), [2.0, -2.0, 1.0]), (LogitLink(), [1.0, 0.0, 1.0])):
        found = link.fit_weights(parts, np.array(label), 0.0, np.zeros(2), 1.0, allow_negative=True)
        assert found[1] == pytest.approx(0, abs=1e-6)


def test_errors_by_hand():
    total, label = np.array([1.0, -1.0]), np.array([1.0, 1.0])
    assert IdentityLink(None, None).error(total, label) == pytest.approx(2**0.5)
    yes = special.expit(total)
    assert LogitLink().error(total, label) == pytest.approx(-np.log(yes).mean())


def test_probabilities_are_found_again_and_extreme_ones_are_finite():
    link, yes = LogitLink(), tf.constant([0.0, 0.2, 1.0])
    np.testing.assert_allclose(link.inverse(link.apply(yes)), [0, 0.2, 1], atol=1e-5)
    assert np.isfinite(link.apply(yes)).all()


def test_each_kind_of_task_has_its_link():
    rating = link_of(RegressionTask(kind="regression", label="rating", min=1, max=5))
    np.testing.assert_array_equal(rating.inverse(tf.constant([0.0, 3.0, 9.0])), [1, 3, 5])
    assert isinstance(link_of(BinaryTask(kind="binary", label="rating >= 4")), LogitLink)
