from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from config import parse_config
from trainer.data.catalogue import CatalogueTable, load_catalogue

TEXT = """
name: shop
data:
  folder: data
  interactions: {path: events.csv}
  items: {path: items.csv, id: item}
features:
  user: [{name: age, kind: numeric}]
  item:
    - {name: brand, kind: categorical}
    - {name: tags, kind: multi_valued}
    - {name: price, kind: numeric}
  trend: {days: []}
"""
CONFIG = parse_config(TEXT)
VOCABULARIES = {
    "item_id": [b"c", b"a", b"d", b"b"],
    "item_id_frequency": [b"9 c", b"5 a", b"5 d", b"0 b"],
    "item_brand": [b"x", b"y"],
    "item_tags": [b"red", b"big", b"new"],
}
TFT_OUTPUT = SimpleNamespace(
    vocabulary_by_name=VOCABULARIES.__getitem__, vocabulary_size_by_name=lambda name: len(VOCABULARIES[name])
)
MISSING_BRAND = 3  # behind two brands and one OOV bucket


def example(index, **features):
    lists = {name: feature(values) for name, values in features.items()}
    lists["catalogue_id"] = feature([index])
    return tf.train.Example(features=tf.train.Features(feature=lists)).SerializeToString()


def feature(values):
    if isinstance(values[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def write(path, examples):
    with tf.io.TFRecordWriter(str(path), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for serialized in examples:
            writer.write(serialized)


def write_items(tmp_path):
    write(tmp_path / "items-1.gz", [example(2, item_brand=[1], item_tags=[2, 0], item_price=[0.5]), example(0)])
    write(
        tmp_path / "items-2.gz",
        [
            example(3, item_brand=[0], item_tags=[1], item_price=[-1.5]),
            example(3, item_brand=[1], item_tags=[2, 2, 2], item_price=[9.0]),
            example(4, item_brand=[1], item_tags=[1, 1, 1, 1], item_price=[9.0]),  # not in the vocabulary
        ],
    )
    return str(tmp_path / "items-*.gz")


@pytest.fixture
def catalogue(tmp_path):
    """Of a log alone, whose rare items are in no vocabulary."""
    text = TEXT.replace("  items: {path: items.csv, id: item}\n", "")
    rare = parse_config(text.replace("features:\n", "features:\n  item_id: {min_count: 2}\n"))
    return load_catalogue(write_items(tmp_path), TFT_OUTPUT, rare)


def test_an_item_of_the_table_that_the_vocabulary_lost_is_an_error(tmp_path):
    message = "1 of 5 items of the catalogue are not in the vocabulary of items, which has 4: Transform lost their ids"
    with pytest.raises(ValueError, match=message):
        load_catalogue(write_items(tmp_path), TFT_OUTPUT, CONFIG)


def test_values_stand_in_the_rows_of_their_items(catalogue):
    assert catalogue.features["item_brand"].tolist() == [MISSING_BRAND, MISSING_BRAND, 1, 0, MISSING_BRAND]
    assert catalogue.features["item_price"].tolist() == [0, 0, 0.5, -1.5, 0]


def test_lists_are_padded_to_the_longest_of_a_known_item(catalogue):
    assert catalogue.features["item_tags"].tolist() == [[-1, -1], [-1, -1], [2, 0], [1, -1], [-1, -1]]


def test_only_item_features_are_in_the_catalogue(catalogue):
    assert set(catalogue.features) == {"item_brand", "item_tags", "item_price"}


def test_ids_and_frequencies_come_from_the_transform_graph(catalogue):
    assert catalogue.item_ids.tolist() == [b"c", b"a", b"d", b"b"]
    assert catalogue.frequencies.tolist() == [9, 5, 5, 0]
    assert catalogue.size == 4


def test_a_log_without_an_items_table_has_missing_values_only():
    catalogue = load_catalogue([], TFT_OUTPUT, CONFIG)
    assert catalogue.features["item_brand"].tolist() == [MISSING_BRAND] * 5
    assert catalogue.features["item_tags"].tolist() == [[-1]] * 5


def test_a_pattern_without_files_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file matches"):
        load_catalogue(str(tmp_path / "*.gz"), TFT_OUTPUT, CONFIG)


def test_the_table_looks_items_up_and_trains_nothing(catalogue):
    table = CatalogueTable(catalogue)
    found = table.lookup(tf.constant([[2, 4]]))
    assert found["item_brand"].numpy().tolist() == [[1, MISSING_BRAND]]
    assert found["item_tags"].numpy().tolist() == [[[2, 0], [-1, -1]]]
    assert table.trainable_variables == ()
    assert len(table.variables) == 3


def test_a_refreshed_catalogue_is_assigned(catalogue):
    table = CatalogueTable(catalogue)
    table.columns["item_price"].assign(np.arange(5.0, dtype=np.float32))
    assert table.lookup(tf.constant([3]))["item_price"].numpy().tolist() == [3.0]
