import numpy as np
import tensorflow as tf

from tests.trainer.small import FEATURES, ITEMS, small_catalogue
from trainer.data.catalogue import CatalogueTable
from trainer.stacking.bias_terms import TrainLabels
from trainer.stacking.history import item_attributes, outcome_labels, session_bias
from transform.features import ModelFeature

STUDIO = ModelFeature("item_studio", "item", "category", 5)


def table():
    """Genres as in the small catalogue, and a studio: 4 is the category of what is missing."""
    table = CatalogueTable(small_catalogue())
    table.columns["item_studio"] = tf.Variable(np.append(np.arange(ITEMS) % 5, 4))
    return table


def test_values_stand_side_by_side():
    found = item_attributes(["genres", "studio"], [*FEATURES, STUDIO], table())
    assert (found.names, found.size) == (("genres", "studio"), 9)
    np.testing.assert_array_equal(found.feature, [[1, 0], [1, 0], [0, 1]])
    # Item 2 has genre 2 and studio 2; item 3 the category of missing genres; item 11 and the unknown one have none.
    np.testing.assert_array_equal(found.value[[2, 3, 4, ITEMS]], [[2, 9, 6], [9, 9, 7], [0, 9, 9], [9, 9, 9]])
    np.testing.assert_array_equal(found.share[[2, 3, 4, ITEMS]], [[1, 0, 1], [0, 0, 1], [1, 0, 0], [0, 0, 0]])


def test_matrices_hold_the_shares_of_one_attribute_each():
    attributes = item_attributes(["genres", "studio"], [*FEATURES, STUDIO], table())
    genres, studios = (matrix.toarray() for matrix in attributes.matrices())
    assert genres.shape == (ITEMS + 1, 9)
    np.testing.assert_array_equal(np.flatnonzero(genres[2]), [2])
    np.testing.assert_array_equal(np.flatnonzero(studios[2]), [6])
    assert not genres[:, 4:].any()
    assert not studios[:, :4].any()


def test_several_values_share_a_length_of_one():
    columns = CatalogueTable(small_catalogue())
    columns.columns = {"item_genres": tf.Variable(np.array([[0, 1, -1], [2, -1, -1]] + [[-1, -1, -1]] * (ITEMS - 1)))}
    share = item_attributes(["genres"], FEATURES, columns).share
    np.testing.assert_allclose(share[:2], [[0.5**0.5, 0.5**0.5, 0], [1, 0, 0]])


def test_no_attributes_have_no_columns():
    found = item_attributes([], FEATURES, table())
    assert (found.names, found.size, found.value.shape) == ((), 0, (ITEMS + 1, 0))
    assert list(found.matrices()) == []


def bias(residual, is_observed, time, scale=60):
    found = session_bias(
        tf.constant([residual], tf.float32), tf.constant([is_observed], tf.bool), tf.constant([time], tf.int64), scale
    )
    assert found.shape == (1, 1)
    return float(found[0, 0])


def test_the_newest_labels_count_most_by_hand():
    then, now = np.exp(-120 / 60), np.exp(-30 / 60)
    expected = (1.0 * then - 2.0 * now) / (then + now + 2)
    np.testing.assert_allclose(bias([1.0, -2.0], [True, True], [100, 190, 220]), expected, rtol=1e-5)


def test_events_after_the_query_count_like_those_before_it():
    assert bias([1.0], [True], [100, 160]) == bias([1.0], [True], [160, 100])


def test_unknown_labels_and_unknown_times_are_ignored():
    known = bias([1.0], [True], [100, 160])
    np.testing.assert_allclose(bias([1.0, 9.0], [True, False], [100, 150, 160]), known, rtol=1e-6)
    np.testing.assert_allclose(bias([9.0, 1.0], [True, True], [0, 100, 160]), known, rtol=1e-6)
    assert bias([1.0], [True], [0, 100]) == 0
    assert bias([], [], [100]) == 0


def test_an_unknown_now_is_that_of_the_newest_event():
    assert bias([1.0, 2.0], [True, True], [100, 130, 0]) == bias([1.0, 2.0], [True, True], [100, 130, 130])
    assert bias([1.0, 2.0], [True, True], [0, 0, 0]) == 0
    assert bias([], [], [0]) == 0


def test_events_long_ago_have_no_weight():
    assert abs(bias([5.0], [True], [1, 1_000_000_000])) < 1e-6


def outcome(name, size):
    return ModelFeature(name, "outcome", "category", size)


def outcomes_of(label, **outcomes):
    events = np.zeros(len(label), np.int64)
    categories = {name: np.asarray(values) for name, values in outcomes.items()}
    return TrainLabels(events, events, np.asarray(label, float), categories, np.zeros([0, 2], np.int64))


def test_the_outcome_that_determines_the_label_is_found():
    data = outcomes_of([1, 2, 5, 5], device=[0, 1, 0, 1], stars=[3, 1, 0, 0])
    found = outcome_labels(data, [outcome("device", 2), outcome("stars", 5)])
    assert found.feature == "stars"
    np.testing.assert_array_equal(found.label[[3, 1, 0]], [1, 2, 5])
    np.testing.assert_array_equal(found.is_known, [True, True, False, True, False])


def test_an_outcome_that_explains_little_is_not_used():
    data = outcomes_of([1, 2, 5, 4], device=[0, 0, 1, 1])
    assert outcome_labels(data, [outcome("device", 2)]) is None
    assert outcome_labels(data, []) is None
