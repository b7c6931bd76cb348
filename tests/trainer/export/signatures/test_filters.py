"""Conditions on raw attributes, by hand; filtered searches in every index."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.market import ITEMS, market
from tests.trainer.served import serialized
from trainer.data.attributes import NO_TIME, Numbers, words
from trainer.export.index import build
from trainer.export.index.exact import ExactIndex
from trainer.export.signatures.filters import Filters, NumberTable, WordTable, without_items
from trainer.export.signatures.retrieval import Retrieval

NAN = float("nan")


def genres():
    """Item 0 is a war drama, item 1 a drama, item 2 nothing, item 3 noir."""
    return words(np.array([b"war", b"drama", b"drama", b"noir"], object), np.array([0, 0, 1, 3]))


def test_a_value_marks_its_items_and_several_mark_those_with_any():
    table = WordTable(genres(), 4, "genres")
    mask = table.mask(tf.constant([["drama", ""], ["war", "noir"], ["", "?"], ["", ""]]))
    assert mask.numpy().astype(int).tolist() == [[1, 1, 0, 0], [1, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_an_attribute_without_any_value_has_no_items():
    table = WordTable(words(np.zeros(0, object), np.zeros(0, np.int64)), 4, "genres")
    assert not table.mask(tf.constant([["drama"]])).numpy().any()
    assert table.mask(tf.zeros([2, 0], tf.string)).shape == (2, 4)


@pytest.mark.parametrize(
    ("least", "most", "expected"),
    [(1990.0, NAN, [0, 1, 1, 0]), (NAN, 1990.0, [1, 1, 0, 0]), (1990.0, 1990.0, [0, 1, 0, 0]), (9.0, 8.0, [0] * 4)],
)
def test_bounds_are_included_and_items_without_a_number_left_out(least, most, expected):
    table = NumberTable(Numbers(np.array([1980, 1990, 2000, NAN], np.float32)), "year")
    assert table.mask(tf.constant([least]), tf.constant([most])).numpy().astype(int).tolist() == [expected]


def test_times_are_exact_to_the_second():
    second = 1_795_000_001
    table = NumberTable(Numbers(np.array([second - 1, second, NO_TIME])), "added")
    assert table.mask(tf.constant([second], tf.int64), tf.constant([0], tf.int64)).numpy().tolist() == [[0, 1, 0]]
    assert table.mask(tf.constant([0], tf.int64), tf.constant([second], tf.int64)).numpy().tolist() == [[1, 1, 0]]


def test_excluded_items_are_taken_out_and_padding_is_not():
    mask = without_items(tf.ones([2, 3], tf.bool), tf.constant([[0, 3, 0], [-1, 2, 3]], tf.int64))
    assert mask.numpy().astype(int).tolist() == [[0, 1, 1], [1, 1, 0]]


def test_a_filter_needs_its_attribute():
    with pytest.raises(ValueError, match="Missing: genres, year"):
        Filters(market().serving, {}, None, 4)


@pytest.mark.parametrize("kind", ["exact", "int8", "ivf"])
@pytest.mark.parametrize("size", [300, 20_000])
@pytest.mark.parametrize("lookup_ratio", [1, 10**9], ids=["looked up", "all scored"])
def test_a_search_among_wanted_items_finds_the_best_of_them(kind, size, lookup_ratio):
    rng = np.random.default_rng(1)
    table = rng.normal(size=(size + 1, 8)).astype(np.float32)
    query = rng.normal(size=(3, 8)).astype(np.float32)
    parameters = {"partitions": 4, "probes": 1} if kind == "ivf" else {}
    serving = market(index=kind, **({} if kind == "exact" else {"shortlist": 2}), **parameters).serving
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "SMALLEST", 1)
        index, report = build.build_index(table, query, serving)
    assert report.kind == kind
    is_wanted = np.zeros((3, size), bool)
    is_wanted[0, rng.choice(size, 20, replace=False)] = True
    is_wanted[1, [7, 3]] = True
    index.lookup_ratio = lookup_ratio
    queries = SimpleNamespace(state=SimpleNamespace(embedding=tf.constant(query)))
    scores, items = Retrieval(index, None).search_among(queries, tf.constant(20), tf.constant(is_wanted))
    wanted = [np.flatnonzero(row)[np.argsort(-(table[:-1] @ q)[row])] for row, q in zip(is_wanted, query, strict=True)]
    assert items.numpy().tolist() == [[*row.tolist(), *[-1] * (20 - len(row))] for row in wanted]
    exact = ExactIndex(table).scores(query).numpy()
    np.testing.assert_allclose(scores[0], exact[0, wanted[0]], rtol=1e-5)


def test_plain_tensors_are_filtered_as_examples_are(market_module):
    rows = [
        {"filter_genres": ["war", "noir"], "min_year": [1990.0], "max_year": [2005.0], "k": [7]},
        {"allow_item_id": [ITEMS[5], ITEMS[190]], "k": [3]},
        {"k": [7]},
    ]
    by_example = market_module.functions.recommend(serialized(*rows))
    plain = market_module.functions.recommend_tensors(
        tf.constant(["", "", ""]),
        tf.zeros([3, 0], tf.string),
        tf.zeros([3, 0], tf.int64),
        tf.zeros([3], tf.int64),
        tf.zeros([3, 0], tf.string),
        tf.constant([7, 3, 7]),
        tf.constant([["", ""], [ITEMS[5], ITEMS[190]], ["", ""]]),
        tf.constant([["war", "noir"], ["", ""], ["", ""]]),
        tf.constant([1990.0, NAN, NAN]),
        tf.constant([2005.0, NAN, NAN]),
        tf.constant([NAN, 0.0, NAN]),
        tf.constant([0, 0, 0]),
    )
    assert by_example["count"].numpy().tolist() == [7, 2, 7]
    assert plain["item_id"].numpy().tolist() == by_example["item_id"].numpy().tolist()


def test_retrieve_is_filtered_too(market_module):
    answer = market_module.functions.retrieve(serialized({"allow_item_id": [ITEMS[3], "?"]}))
    assert answer["item_id"].numpy().tolist() == [[ITEMS[3].encode(), b"", b"", b"", b""]]
