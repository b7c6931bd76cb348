import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.served import ITEMS, serialized
from trainer.data.blocks import in_row_blocks


def window(user, past, target, seen=(), **features):
    """An eval window whose last event is the target."""
    n = len(past) + 1
    moments = [1000 * (t + 1) for t in range(n)]
    events = {"time": moments, "context_hour": moments, "is_positive": [1] * n, "is_target": [0] * (n - 1) + [1]}
    return {"user_id": [user], "item_id": [*past, target], **events, "seen_item_id": list(seen), **features}


WINDOWS = [
    window("u0", ["i0", "i1"], "i3", ["i0", "i1"], user_gender=["F"], target_count=[2]),
    window("u1", ["i5"], "i6", ["i5", "i0", "i2"], target_count=[1]),
    window("stranger", [], "i0", is_cold_user=[1], target_count=[3]),
    window("u0", ["i2"], "i2", ["i2"]),
    window("u1", ["i2"], "never sold", ["i2"]),
    window("u1", ITEMS[:7], "i7", ITEMS[:7]),
]


@pytest.fixture(scope="module")
def answer(call):
    return call("evaluate", examples=serialized(*WINDOWS))


@pytest.fixture(scope="module")
def orders(call):
    """The unseen items of every window by falling dot product of `embed_query` and `embed_candidate`."""
    candidates = call("embed_candidate", item_id=ITEMS)["embedding"]
    query = call("embed_query", examples=serialized(*(request(w) for w in WINDOWS)))["embedding"]
    return [unseen(np.argsort(-scores), w) for scores, w in zip(query @ candidates.T, WINDOWS, strict=True)]


def request(row):
    """What a client that stands where the target does could have sent."""
    known = {name: row[name] for name in ("user_id", "user_gender", "time", "context_hour") if name in row}
    return {**known, "item_id": row["item_id"][:-1]}


def unseen(order, row):
    return [int(i) for i in order if ITEMS[i] not in row["seen_item_id"]]


def test_the_target_rank_is_that_of_the_exported_embeddings(answer, orders):
    ranks = [
        order.index(ITEMS.index(w["item_id"][-1])) + 1 if w["item_id"][-1] in {ITEMS[i] for i in order} else np.inf
        for order, w in zip(orders, WINDOWS, strict=True)
    ]
    assert answer["target_rank"].tolist() == ranks
    assert ranks[3:] == [np.inf, np.inf, 1]


def test_top_items_are_those_of_the_exported_embeddings(answer, orders):
    assert answer["top_items"].tolist() == [(order + [-1] * 5)[:5] for order in orders]


def test_popularity_ranks_by_train_frequency(answer):
    assert answer["popularity_rank"].tolist() == [2, 4, 1, np.inf, np.inf, 1]
    assert answer["popularity_top_items"][1].tolist() == [1, 3, 4, 6, 7]


def test_predictions_are_those_of_rank(answer, call):
    candidates = [{**request(w), "candidate_item_id": [w["item_id"][-1]]} for w in WINDOWS]
    ranked = call("rank", examples=serialized(*candidates))
    for task in ("rating", "like", "order"):
        np.testing.assert_allclose(answer[task], ranked[task][:, 0], rtol=1e-5)


def test_class_probabilities_are_those_of_interests(answer, call):
    found = call("interests", examples=serialized(*(request(w) | {"k": [9]} for w in WINDOWS)))
    np.testing.assert_allclose(-np.sort(-answer["genre"]), found["genre_probability"], rtol=1e-5)


def test_the_rest_comes_from_the_example(answer):
    assert answer["retrieval_weight"].tolist() == [1] * 6
    assert answer["target_count"].tolist() == [2, 1, 3, 0, 0, 0]
    assert answer["is_cold_user"].tolist() == [0, 0, 1, 0, 0, 0]
    assert answer["catalogue_size"].tolist() == [8] * 6
    keys = answer["user_key"]
    assert keys[0] == keys[3]
    assert keys[1] == keys[4] == keys[5]
    assert len(set(keys.tolist())) == 3


def test_the_target_tells_nothing_about_itself(call):
    plain = window("u0", ["i0", "i1"], "i3", outcome_rating=["4", "4", "1"], label_like=[1.0, 1.0, 0.0])
    other = window("u0", ["i0", "i1"], "i3", outcome_rating=["4", "4", "5"], label_like=[1.0, 1.0, 1.0])
    other |= {"weight_like": [0.0, 0.0, 1.0], "label_rating": [0.0, 0.0, 5.0], "is_positive": [1, 1, 0]}
    answers = call("evaluate", examples=serialized(plain, other))
    assert answers.pop("retrieval_weight").tolist() == [1, 0]
    for name, values in answers.items():
        assert values[0].tolist() == values[1].tolist(), name


def test_the_target_item_does_not_move_the_ranking(call):
    answers = call("evaluate", examples=serialized(*(window("u0", ["i0", "i1"], i) for i in ITEMS)))
    assert (answers["top_items"] == answers["top_items"][0]).all()
    assert sorted(answers["target_rank"].tolist()) == list(range(1, 9))


def test_the_past_counts(call):
    answers = call("evaluate", examples=serialized(window("u0", ["i0", "i1"], "i3"), window("u0", ["i5"], "i3")))
    assert answers["rating"][0] != answers["rating"][1]


def test_an_example_without_events_has_no_rank(call):
    assert call("evaluate", examples=serialized({}))["target_rank"].tolist() == [np.inf]


def test_labels_are_those_of_the_last_event(call):
    row = window("u0", ["i0"], "i3", label_rating=[5.0, 2.0], weight_rating=[1.0, 1.0], label_like=[1.0, 0.0])
    assert {
        name: values.tolist() for name, values in call("evaluation_labels", examples=serialized(row, {})).items()
    } == {
        "target_label_rating": [2, 0],
        "target_weight_rating": [1, 0],
        "target_label_like": [0, 0],
        "target_weight_like": [0, 0],
        "target_label_genre": [[0, 0, 0], [0, 0, 0]],
        "target_weight_genre": [0, 0],
        "target_label_order": [0, 0],
        "target_weight_order": [0, 0],
    }


def test_the_label_of_a_multiclass_task_is_the_items_class(call):
    rows = [window("u0", ["i0"], item, weight_genre=[1.0, weight]) for item, weight in (("i1", 1.0), ("i1", 0.0))]
    found = call("evaluation_labels", examples=serialized(*rows, window("u0", [], "i2", weight_genre=[1.0])))
    assert found["target_label_genre"].tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 0]]
    assert found["target_weight_genre"].tolist() == [1, 0, 0]  # i2 has no genre


@pytest.mark.parametrize("rows", [1, 2, 5, 9])
def test_row_blocks_change_nothing_but_the_memory(rows):
    sizes = []

    def double(values, pair):
        sizes.append(values.shape[0])
        return {"sum": values + pair[0], "wide": pair[1] * 2}

    wide = tf.reshape(tf.range(10.0), [5, 2])
    answer = in_row_blocks(double, (tf.range(5.0), (tf.ones(5), wide)), rows, {"sum": tf.float32, "wide": tf.float32})
    assert answer["sum"].numpy().tolist() == [1, 2, 3, 4, 5]
    assert answer["wide"].numpy().tolist() == (wide * 2).numpy().tolist()
    assert max(sizes) == min(rows, 5)


def test_lists_are_described_by_novelty_and_distance(answer):
    counts = np.array([9, 8, 7, 6, 4, 3, 2, 1])
    information = -np.log2(counts / counts.sum())
    assert answer["novelty"].shape == answer["intra_list_distance"].shape == (len(WINDOWS), 2)
    for row, items in enumerate(answer["top_items"]):
        listed = [i for i in items if i >= 0]
        for column, k in enumerate((3, 5)):
            np.testing.assert_allclose(answer["novelty"][row, column], information[listed[:k]].mean(), rtol=1e-5)
    # Only one item has a feature: no two have anything in common. The last list has one item.
    assert (answer["intra_list_distance"][:5] == 1).all()
    assert np.isnan(answer["intra_list_distance"][5]).all()
    popular = [i for i in answer["popularity_top_items"][0] if i >= 0]
    np.testing.assert_allclose(answer["popularity_novelty"][0, 1], information[popular].mean(), rtol=1e-5)


def shared(rows, seen):
    """Windows of one user that hold a part each of what the last of them has seen."""
    edges = [len(seen) * n // len(rows) for n in range(len(rows) + 1)]
    return [
        {**row, "seen_item_id": seen[edges[n] : edges[n + 1]], "seen_start": [edges[n]], "seen_count": [count]}
        for n, (row, count) in enumerate(rows)
    ]


def test_windows_that_share_a_list_are_answered_as_if_each_held_what_it_has_seen(call):
    seen, other = ["i5", "i0", "i2"], window("stranger", ["i1"], "i4", ["i0"])
    past = [window("u1", ["i5"], "i6"), window("u1", ["i5"], "i1"), window("u1", ["i5", "i2"], "i3")]
    counts = [3, 1, 2]
    each = [{**row, "seen_item_id": seen[:count]} for row, count in zip(past, counts, strict=True)]
    parts = shared(list(zip(past, counts, strict=True)), seen)
    found = call("evaluate", examples=serialized(parts[2], other, parts[0], parts[1]))
    expected = call("evaluate", examples=serialized(each[2], other, each[0], each[1]))
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_equal_queries_are_answered_as_alone(call):
    rows = [window("u0", ["i0", "i1"], item, ["i0", "i1"]) for item in ("i3", "i7", "i3")]
    rows.insert(1, window("u0", ["i0", "i1"], "i3", ["i0"]))
    together = call("evaluate", examples=serialized(*rows))
    for n, row in enumerate(rows):
        for name, values in call("evaluate", examples=serialized(row)).items():
            np.testing.assert_allclose(together[name][n], values[0], rtol=1e-5, err_msg=name)
