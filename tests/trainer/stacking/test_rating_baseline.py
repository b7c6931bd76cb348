import numpy as np
import pytest
import scipy.sparse as sp
import tensorflow as tf

from config.tasks import RegressionTask
from tests.trainer.small import ITEMS, USERS, draw_row, small_config, small_model, sparse_features
from trainer.data.windows import dense_windows
from trainer.stacking.bias_terms import BiasTerms
from trainer.stacking.blend import Blend
from trainer.stacking.factors import Factors, UserFactors
from trainer.stacking.history import ItemAttributes, OutcomeLabels
from trainer.stacking.neighbours import NeighbourTable
from trainer.stacking.rating_baseline import RatingBaseline

MEAN, DAMPING = 3.0, 0.5
USER, ITEM = np.arange(USERS + 1) / 10, -np.arange(ITEMS + 1) / 20
NEAR = {(4, 7): 0.5, (2, 7): 0.25, (4, 1): 1.0}
"""The links from an item of the history (first) to another (second)."""
ALIKE = {(2, 7): 0.125, (9, 5): 2.0}
"""Links of another kind."""
FACTORS, IMPLICIT = np.random.default_rng(0).normal(size=(2, ITEMS, 2))
NOISE = 0.25


def table(near, name):
    links = sp.csr_matrix((list(near.values()), tuple(zip(*near, strict=True))), shape=(ITEMS, ITEMS), dtype=np.float32)
    return NeighbourTable(links, 1.0, name)


def attributes():
    """A genre, where items 4, 2 and 7 have the same one and item 9 has two."""
    value = np.array([[2, 2]] * (ITEMS + 1))
    value[[4, 2, 7], 0] = 0
    value[9] = [0, 1]
    share = np.where(value < 2, np.where((value < 2).all(axis=1, keepdims=True), 0.5**0.5, 1), 0)
    return ItemAttributes(("genre",), value, share.astype(np.float32), np.ones((2, 1), np.float32), 2)


def baseline(weights=None, observed=True):
    # The category c stands for the label c; the categories 0 and 5 were never labelled.
    outcome = OutcomeLabels("outcome_stars", np.arange(6.0), np.array([False, True, True, True, True, False]))
    tables = {"cosine": table(NEAR, "cosine"), "correlation": table(ALIKE, "correlation")}
    user_factors = UserFactors(Factors(FACTORS, IMPLICIT, np.array([0.5, -0.5]), NOISE))
    bias_terms = BiasTerms(MEAN, USER, ITEM)
    made = RatingBaseline(
        bias_terms,
        outcome if observed else None,
        tables,
        user_factors,
        attributes(),
        {"session_bias_100": 100},
        DAMPING,
    )
    task = RegressionTask(kind="regression", label="rating", min=1, max=5)
    made.blends["rating"] = Blend.for_task(task, MEAN, weights)
    return made


def state(rows):
    model = small_model(small_config())
    return model.encode(dense_windows(sparse_features(rows), model.spec)).newest()


def row(user, items, stars):
    """A history of items and its outcomes, and one event more."""
    rng = np.random.default_rng(0)
    return draw_row(rng, len(items) + 1, user_id=[user], item_id=[*items, 0], outcome_stars=[*stars, 5])


def test_neighbours_by_hand():
    found = baseline().parts(state([row(3, [4, 2, 9], [4, 1, 2])]), tf.constant([[7, 1, 5, ITEMS]], tf.int64))
    np.testing.assert_allclose(found["bias"][0], USER[3] + ITEM[[7, 1, 5, ITEMS]], rtol=1e-5)
    residual = {i: stars - (MEAN + USER[3] + ITEM[i]) for i, stars in ((4, 4), (2, 1), (9, 2))}
    seven = (0.5 * residual[4] + 0.25 * residual[2]) / (0.75 + DAMPING)
    np.testing.assert_allclose(found["cosine"][0], [seven, residual[4] / (1 + DAMPING), 0, 0], rtol=1e-5)
    seven, five = 0.125 * residual[2] / (0.125 + DAMPING), 2 * residual[9] / (2 + DAMPING)
    np.testing.assert_allclose(found["correlation"][0], [seven, 0, five, 0], rtol=1e-5)


def test_items_that_share_an_attribute_by_hand():
    found = baseline().parts(state([row(3, [4, 2, 9], [4, 1, 2])]), tf.constant([[7, 9, 1, ITEMS]], tf.int64))
    residual = {i: stars - (MEAN + USER[3] + ITEM[i]) for i, stars in ((4, 4), (2, 1), (9, 2))}
    half = 0.5**0.5
    first = residual[4] + residual[2] + half * residual[9]
    seven = first / (2 + half + DAMPING)
    nine = half * (first + half * residual[9]) / (half * (2 + half + half) + DAMPING)
    np.testing.assert_allclose(found["genre"][0], [seven, nine, 0, 0], rtol=1e-5)


def test_user_factors_by_hand():
    found = baseline().parts(state([row(3, [4, 2, 9], [4, 0, 2])]), tf.constant([[7, 1, ITEMS]], tf.int64))["factors"]
    # Item 2 has no known label: it changes the prior mean alone.
    residual = [stars - (MEAN + USER[3] + ITEM[i]) for i, stars in ((4, 4), (9, 2))]
    observed, expected = FACTORS[[4, 9]], [0.5, -0.5] + IMPLICIT[[4, 2, 9]].sum(axis=0) / 2
    user_factors = np.linalg.inv(np.eye(2) + observed.T @ observed / NOISE) @ (expected + observed.T @ residual / NOISE)
    np.testing.assert_allclose(found[0], [*FACTORS[[7, 1]] @ user_factors, 0], rtol=1e-4)


def test_session_bias_is_of_what_bias_terms_and_factors_leave_by_hand():
    own = row(3, [4, 2, 9], [4, 0, 2]) | {"time": [100, 150, 220, 250]}
    found = baseline().parts(state([own]), tf.constant([[7, 1, 4, 9]], tf.int64))
    residual = [stars - (MEAN + USER[3] + ITEM[i]) for i, stars in ((4, 4), (9, 2))]
    left = residual - found["factors"][0, 2:].numpy()
    weight = np.exp([-1.5, -0.3])
    np.testing.assert_allclose(found["session_bias_100"], [[weight @ left / (weight.sum() + 2)]], rtol=1e-4)


def test_the_factors_of_a_user_without_a_history_are_the_prior_mean():
    found = baseline().parts(state([row(USERS, [], [])]), tf.constant([[7]], tf.int64))["factors"]
    np.testing.assert_allclose(found[0], [FACTORS[7] @ [0.5, -0.5]], rtol=1e-5)


def test_events_without_a_known_label_are_ignored():
    unlabelled = baseline().parts(state([row(3, [4, 2], [0, 1])]), tf.constant([[7, 1]], tf.int64))["cosine"][0]
    np.testing.assert_allclose(unlabelled, [0.25 * (1 - (MEAN + USER[3] + ITEM[2])) / (0.25 + DAMPING), 0], rtol=1e-5)


def test_rows_of_a_batch_do_not_mix():
    rows = [row(3, [4, 2, 9], [4, 1, 2]), row(USERS, [], []), row(1, [4], [2])]
    item = tf.constant([[7, 1], [7, 1], [1, 7]], tf.int64)
    together = baseline().parts(state(rows), item)
    for number, single in enumerate(rows):
        alone = baseline().parts(state([single]), item[number : number + 1])
        for name, values in alone.items():
            np.testing.assert_allclose(together[name][number], values[0], rtol=1e-5)
    for near in ("cosine", "genre"):
        np.testing.assert_array_equal(together[near][1], 0)


def test_the_prediction_is_the_weighted_sum_inside_the_bounds():
    item, query = tf.constant([[7, 1]], tf.int64), state([row(3, [4], [4])])
    weights = {"network": 0.5, "bias": 2.0, "cosine": 0.1}
    made = baseline(weights)
    parts = made.parts(query, item)
    expected = MEAN + 0.5 * np.array([1.0, -0.5]) + 2 * parts["bias"][0] + 0.1 * parts["cosine"][0]
    network = {"rating": tf.constant([[4.0, 2.5]])}
    np.testing.assert_allclose(made.predictions(network, query, item)["rating"][0], expected, rtol=1e-5)
    assert baseline({"network": 9.0}).predictions(network, query, item)["rating"].numpy().tolist() == [[5, 1]]


def test_without_a_label_outcome_there_are_bias_terms_only():
    assert baseline(observed=False).names == ("bias",)
    assert baseline().names == ("bias", "cosine", "correlation", "factors", "session_bias_100", "genre")


@pytest.mark.parametrize("part", ["cosine", "correlation", "factors"])
def test_weights_of_parts_that_are_off_are_refused(part):
    with pytest.raises(ValueError, match="`weights` should name parts that are not 0. Received: " + part):
        RegressionTask(kind="regression", label="rating", baseline={part: 0, "weights": {part: 1.0}})
