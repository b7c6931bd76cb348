import numpy as np
import tensorflow as tf

from tests.trainer.small import FEATURES, ITEMS, small_catalogue
from trainer.data.catalogue import CatalogueTable
from trainer.stacking.attributes import item_attributes
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


def test_no_attributes_are_nothing():
    found = item_attributes([], FEATURES, table())
    assert (found.names, found.size, found.value.shape) == ((), 0, (ITEMS + 1, 0))
    assert list(found.matrices()) == []
