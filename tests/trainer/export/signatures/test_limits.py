"""What one call may bring, and whole numbers of more bits than the graph counts in."""

import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.market import GENRES, market_attributes
from tests.trainer.served import ITEMS, serialized
from trainer.export.signatures.filters import WordTable
from trainer.export.signatures.reader import newest_values

REQUEST = {"user_id": ["u0"], "item_id": ["i1"], "time": [1000]}
MANY = ["i3"] * 10_001
OF_EXAMPLES = ["recommend", "retrieve", "rank", "explain", "interests", "embed_query"]


def tensors(rows=1, exclude=(), k=3):
    return {
        "user_id": tf.fill([rows], "u0"),
        "item_id": tf.fill([rows, 1], "i1"),
        "time": tf.fill([rows, 1], np.int64(1000)),
        "request_time": tf.zeros([rows], tf.int64),
        "exclude_item_id": tf.constant([list(exclude)] * rows, tf.string, [rows, len(exclude)]),
        "k": tf.fill([rows], k),
    }


@pytest.mark.parametrize("signature", OF_EXAMPLES)
def test_more_requests_than_a_call_may_bring_are_refused(call, signature):
    examples = tf.repeat(serialized(REQUEST), 1025)
    assert len(next(iter(call(signature, examples=examples[:1024]).values()))) == 1024
    message = r"a call should bring at most 1024 requests \(`serving.max_rows`\). Received: .*1025"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        call(signature, examples=examples)


def test_more_rows_of_tensors_are_refused(call):
    assert len(call("recommend_tensors", **tensors(1024))["count"]) == 1024
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"`serving.max_rows`.*1025"):
        call("recommend_tensors", **tensors(1025))


@pytest.mark.parametrize("signature", ["rank", "explain"])
def test_more_candidates_are_refused(call, signature):
    message = r"a request should bring at most 10000 values of `candidate_item_id` \(`serving.max_candidates`\).*10001"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        call(signature, examples=serialized(REQUEST, {**REQUEST, "candidate_item_id": MANY}))
    assert call("rank", examples=serialized({**REQUEST, "candidate_item_id": MANY[1:]}))["count"].tolist() == [10_000]


def test_more_items_to_embed_are_refused(call):
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"10000 values of `item_id` \(`serving.max_candidates`\)"):
        call("embed_candidate", item_id=MANY)


def test_more_exclusions_are_refused(call):
    message = r"a request should bring at most 10000 values of `exclude_item_id` \(`serving.max_exclusions`\).*10001"
    for signature in ("recommend", "retrieve"):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            call(signature, examples=serialized({**REQUEST, "exclude_item_id": MANY}))
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        call("recommend_tensors", **tensors(exclude=MANY))
    answer = call("recommend_tensors", **tensors(exclude=MANY[1:], k=50))
    assert set(answer["item_id"][0].tolist()) == {b"", *(i.encode() for i in ITEMS if i not in ("i1", "i3"))}


def test_of_a_long_history_the_newest_events_are_excluded(call):
    items = ["i7", *["i1"] * 4_999, *["i3"] * 5_000]
    answer = call("retrieve", examples=serialized({"item_id": items, "k": [50]}, {"item_id": ["i0"], "k": [50]}))
    assert answer["count"].tolist() == [5, 7]
    answer = call("retrieve", examples=serialized({"item_id": [*items, "i2"], "k": [50]}))
    assert sorted(answer["item_id"][0, :5].tolist()) == [b"i0", b"i4", b"i5", b"i6", b"i7"]


def test_the_newest_values_of_each_row():
    rows = tf.RaggedTensor.from_row_splits(np.array([1, 2, 3, 4]), np.array([0, 3, 3, 4])).to_sparse()
    assert tf.sparse.to_dense(newest_values(rows, 2)).numpy().tolist() == [[2, 3], [0, 0], [4, 0]]
    assert tf.sparse.to_dense(newest_values(rows, 9)).numpy().tolist() == [[1, 2, 3], [0, 0, 0], [4, 0, 0]]


@pytest.mark.parametrize("signature", ["recommend", "retrieve"])
@pytest.mark.parametrize(
    ("k", "count"), [(2**31 - 1, 7), (2**31, 7), (2**32 + 1, 7), (2**63 - 1, 7), (-1, 3), (0, 3), (-(2**40), 3)]
)
def test_k_of_64_bits_is_clamped_before_it_is_counted_with(call, signature, k, count):
    assert call(signature, examples=serialized({**REQUEST, "k": [k]}))["count"].tolist() == [count]


@pytest.mark.parametrize(("k", "count"), [(2**31 - 1, 7), (-1, 3), (0, 3), (-(2**31), 3)])
def test_k_of_tensors_is_clamped_too(call, k, count):
    assert call("recommend_tensors", **tensors(k=k))["count"].tolist() == [count]


@pytest.mark.parametrize(("cap", "most"), [(1, 1), (2**31, 250), (2**32 + 1, 250), (-(2**32), 250)])
def test_a_cap_of_64_bits_is_clamped_too(market_module, cap, most):
    answer = market_module.functions.recommend(serialized({"k": [10], "cap_genres": [cap]}))
    assert int(answer["count"][0]) == 10
    index = market_module.item_index.lookup(answer["item_id"][0]).numpy()
    genres = market_attributes(market_module.item_ids.numpy())["genres"]
    counts = np.bincount(genres.value[np.isin(genres.item, index)], minlength=len(GENRES))
    assert counts.max() <= most


def test_a_value_that_a_filter_names_often_counts_once():
    table = WordTable(market_attributes(np.arange(200))["genres"], 200, "genres")
    often = tf.constant([["war", "noir"] * 5_000, ["opera", ""] * 5_000])
    np.testing.assert_array_equal(table.mask(often), table.mask(often[:, :2]))
    assert table.mask(often)[0].numpy().any()
