import numpy as np
import pytest
import tensorflow as tf

from trainer.data.catalogue import Catalogue, CatalogueTable
from trainer.metrics.lists import ListMetrics, squared_norms
from transform.features import ModelFeature

GENRES = ModelFeature("item_genres", "item", "categories", 5)
YEAR = ModelFeature("item_year", "item", "category", 3)
PRICE = ModelFeature("item_price", "item", "number", None)
COLUMNS = {
    # Item 0 and 1 share one of two genres, 3 has one twice; 4 and the unknown item have none.
    "item_genres": np.array([[0, 1], [1, 2], [3, -1], [3, 3], [-1, -1], [-1, -1]], np.int32),
    "item_year": np.array([0, 0, 1, 2, 2, 2], np.int32),
    "item_price": np.zeros(6, np.float32),
}


def metrics(*features, ks=(2, 3)):
    ids = np.array([f"i{n}".encode() for n in range(5)], object)
    frequencies = np.array([7, 3, 1, 0, 0], np.float32)
    table = CatalogueTable(Catalogue(ids, frequencies, COLUMNS))
    return ListMetrics(tf.Variable(frequencies), table, features, ks)


def test_novelty_is_the_mean_self_information():
    # Shares with one more of each: 8, 4, 2, 1, 1 of 16, so 1, 2, 3, 4, 4 bits.
    found = metrics()(tf.constant([[0, 1, 4], [2, -1, -1], [-1, -1, -1]], tf.int64))
    np.testing.assert_allclose(found["novelty"][:2], [[1.5, 7 / 3], [3, 3]], rtol=1e-6)
    assert np.isnan(found["novelty"][2]).all()
    assert set(found) == {"novelty"}


@pytest.mark.parametrize(
    ("items", "expected"),
    [([0, 1], 0.5), ([0, 0], 0), ([2, 3], 0), ([0, 2], 1), ([4, 4], 1), ([0, 1, 2], (0.5 + 1 + 1) / 3)],
)
def test_distance_is_one_minus_the_cosine_of_contents(items, expected):
    found = metrics(GENRES, PRICE)(tf.constant([items], tf.int64))["intra_list_distance"]
    np.testing.assert_allclose(found[0, len(items) - 2], expected, atol=1e-6)


def test_features_are_compared_together_and_missing_ones_not():
    # Items 0 and 1 share a genre and the year of three values each; item 3's year is missing.
    found = metrics(GENRES, YEAR)(tf.constant([[0, 1], [3, 4]], tf.int64))["intra_list_distance"]
    np.testing.assert_allclose(found[:, 0], [1 - 2 / 3, 1], atol=1e-6)


def test_fewer_than_two_items_have_no_distance():
    found = metrics(GENRES)(tf.constant([[0, -1, -1], [0, 1, -1]], tf.int64))["intra_list_distance"]
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1], 0.5, atol=1e-6)


def test_repeated_positions_add_up():
    values = tf.constant([[1, 1, 2], [0, 3, -1]], tf.int64)
    found = squared_norms(values, tf.constant([[1.0, 2, 4], [1, 1, 0]]), 4)
    np.testing.assert_array_equal(found, [9 + 16, 2])


def test_without_lengths_there_are_no_metrics():
    assert metrics(GENRES, ks=())(tf.constant([[0, 1]], tf.int64)) == {}


def test_no_rows_have_empty_metrics():
    found = metrics(GENRES)(tf.zeros([0, 3], tf.int64))
    assert found["novelty"].shape == found["intra_list_distance"].shape == (0, 2)
