"""The raw attributes of the items, read as ingest writes them."""

import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.served import shop
from trainer.data.attributes import NO_TIME, load_attributes

FEATURES = [
    {"name": "genres", "kind": "multi_valued"},
    {"name": "year", "kind": "numeric", "column": "released"},
    {"name": "added", "kind": "time"},
    {"name": "title", "kind": "text"},
]
ROWS = [
    {"catalogue_id": [b"i2"], "item_genres": [b"war", b"drama", b"war"], "item_year": [1990.0], "item_added": [7]},
    {"catalogue_id": [b"new"], "item_genres": [b"noir"], "item_year": [2000.0]},
    {"catalogue_id": [b"i0"], "item_genres": [b"drama"]},
    {"catalogue_id": [b"i2"], "item_genres": [b"noir"], "item_year": [1.0]},
]
IDS = np.array([b"i0", b"i1", b"i2"], object)


def write(path, rows):
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for row in rows:
            example = tf.train.Example()
            for name, values in row.items():
                feature = example.features.feature[name]
                kinds = {bytes: feature.bytes_list, float: feature.float_list, int: feature.int64_list}
                kinds[type(values[0])].value.extend(values)
            writer.write(example.SerializeToString())


@pytest.fixture
def attributes(tmp_path):
    write(tmp_path / "data-0.gz", ROWS[:1])
    write(tmp_path / "data-1.gz", ROWS[1:])
    config = shop(features={"item": FEATURES}, serving={"filters": ["year", "genres", "added"]})
    return load_attributes(str(tmp_path / "*"), IDS, config)


def test_the_first_row_of_an_item_counts_and_each_value_once(attributes):
    genres = attributes["genres"]
    assert genres.values.tolist() == [b"drama", b"war"]
    assert list(zip(genres.item.tolist(), genres.value.tolist(), strict=True)) == [(0, 0), (2, 0), (2, 1)]


def test_numbers_are_as_in_the_table_and_missing_ones_are_marked(attributes):
    np.testing.assert_array_equal(attributes["year"].values, np.array([np.nan, np.nan, 1990], np.float32))
    assert attributes["added"].values.tolist() == [NO_TIME, NO_TIME, 7]


def test_only_what_serving_names_is_read(attributes, tmp_path):
    assert set(attributes) == {"genres", "year", "added"}
    assert load_attributes(str(tmp_path / "*"), IDS, shop(features={"item": FEATURES})) == {}


def test_without_an_items_table_no_item_has_a_value():
    attributes = load_attributes([], IDS, shop(serving={"filters": ["genres"]}))
    assert len(attributes["genres"].values) == len(attributes["genres"].item) == 0
