import numpy as np
import pytest
from scipy import special

from trainer.stacking.blend import IdentityLink, LogitLink
from trainer.stacking.weights import LabelledEvents, stack


def events(label, *parts, users=None):
    users = len(label) if users is None else users
    return LabelledEvents(np.stack(parts, axis=1), np.asarray(label, float), np.arange(len(label)) % users)


def test_the_bias_model_stays_if_no_other_part_helps():
    rng = np.random.default_rng(0)
    bias_terms, noise = rng.normal(size=300), rng.normal(size=300)
    labelled = events(3 + bias_terms + rng.normal(size=300), noise, bias_terms, rng.normal(size=300), users=60)
    found = stack(IdentityLink(1, 5), labelled, 3.0, bias=1)
    assert found.error <= found.bias_error
    np.testing.assert_allclose(found.weights, [0, 1, 0], atol=0.15)
    assert found.users == 60


def test_parts_that_help_get_their_weights():
    rng = np.random.default_rng(0)
    network, bias_terms = rng.normal(size=(2, 4000))
    labelled = events(0.4 * network + 0.8 * bias_terms + rng.normal(size=4000) / 10, network, bias_terms)
    found = stack(IdentityLink(None, None), labelled, 0.0, bias=1)
    np.testing.assert_allclose(found.weights, [0.4, 0.8], atol=0.02)
    assert found.error == pytest.approx(0.1, rel=0.05)
    assert found.bias_error == pytest.approx(0.41, rel=0.05)


def test_negative_weights_need_more_than_one_standard_error():
    rng = np.random.default_rng(0)
    bias_terms, session_bias = rng.normal(size=(2, 2000))
    noise = rng.normal(size=2000)
    for share, is_negative in ((-0.01, False), (-0.5, True)):
        found = stack(
            IdentityLink(None, None),
            events(bias_terms + share * session_bias + noise, session_bias, bias_terms),
            0.0,
            bias=1,
        )
        assert (found.weights[0] < -0.4) == is_negative
        assert is_negative or found.weights[0] >= 0


def test_a_part_that_hardly_varies_gets_no_great_weight():
    """Least squares would give it 40 and more."""
    rng = np.random.default_rng(1)
    bias_terms = rng.normal(size=100)
    tiny = rng.normal(size=100) / 1000
    labelled = events(bias_terms + 50 * tiny + rng.normal(size=100), tiny, bias_terms, users=30)
    assert np.abs(stack(IdentityLink(None, None), labelled, 0.0, bias=1).weights[0]) < 5


def test_events_of_one_user_count_as_one():
    """Of a user whom a part suits by chance there are many events; the others' tell against it."""
    rng = np.random.default_rng(0)
    bias_terms, part = rng.normal(size=(2, 400))
    label = bias_terms + rng.normal(size=400)
    label[:100] += part[:100]
    users = np.concatenate([np.zeros(100, int), np.repeat(np.arange(1, 31), 10)])
    found = stack(
        IdentityLink(None, None), LabelledEvents(np.stack([part, bias_terms], axis=1), label, users), 0.0, bias=1
    )
    pooled = np.linalg.lstsq(np.stack([part, bias_terms], axis=1), label, rcond=None)[0][0]
    assert found.weights[0] < 0.6 * pooled


def test_likes_are_stacked_by_log_odds():
    rng = np.random.default_rng(0)
    network, bias_terms = rng.normal(size=(2, 5000))
    label = rng.random(5000) < special.expit(-0.5 + 0.3 * network + 1.7 * bias_terms)
    found = stack(LogitLink(), events(label, network, bias_terms), -0.5, bias=1)
    np.testing.assert_allclose(found.weights, [0.3, 1.7], atol=0.15)


@pytest.mark.parametrize("link", [IdentityLink(1, 5), LogitLink()])
def test_one_user_gets_the_bias_model(link):
    labelled = events([1.0, 0.0, 1.0], np.array([9.0, -9.0, 9.0]), np.array([0.5, -0.5, 0.5]), users=1)
    found = stack(link, labelled, 0.0, bias=1)
    assert found.weights[0] == 0
    assert found.weights[1] > 0
    assert found.error == found.bias_error
