"""Users' states out of transformed windows, and requests that a user id alone is enough for."""

import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.served import serialized, shop, untrained_model
from tests.trainer.small import write_rows
from trainer.data.dataset import WindowData
from trainer.export.saved_model import ExportedModel
from trainer.export.user_snapshot import load_snapshot
from trainer.stacking.recommender import StackedRecommender


def window(user, items, first, targets=None, positive=None, **features):
    """A transformed window whose events are a second apart."""
    n = len(items)
    times = [first + t for t in range(n)]
    return {
        "user_id": [user],
        "item_id": items,
        "time": times,
        "context_hour": [time // 3600 % 24 for time in times],
        "context_device": [0] * n,
        "is_positive": positive or [1] * n,
        "is_target": targets or [1] * n,
        **features,
    }


ROWS = [
    window(0, [4, 5, 6, 7, 0, 1], 200, targets=[0, 0, 1, 1, 1, 1], user_gender=[0]),  # user 0's second window
    window(1, [2, 8, 3], 50, positive=[1, 1, 0]),  # item 8 is unknown, the last event no positive
    window(0, [2, 3, 4, 5], 100, user_gender=[0]),
    window(2, [7], 10, user_gender=[0]),  # a user that the vocabulary lacks
]


@pytest.fixture(scope="module")
def config():
    return shop(serving={**shop().serving.model_dump(exclude_unset=True), "snapshot": True})


@pytest.fixture(scope="module")
def model(config, shop_graph):
    return untrained_model(config, shop_graph)


@pytest.fixture(scope="module")
def snapshot(model, tmp_path_factory):
    path = write_rows(tmp_path_factory.mktemp("windows") / "data.gz", ROWS)
    return load_snapshot(WindowData([path], model.spec), model.spec)


@pytest.fixture(scope="module")
def functions(config, shop_graph, model, snapshot):
    return ExportedModel(StackedRecommender(model), shop_graph, config, snapshot=snapshot).functions


def test_the_newest_positives_with_known_items_are_kept_in_the_order_of_time(snapshot):
    assert snapshot.starts.tolist() == [0, 6, 7, 7]
    assert snapshot.events["item_id"].tolist() == [4, 5, 6, 7, 0, 1, 2]  # six of the eight of user 0
    assert snapshot.events["time"].tolist() == [102, 103, 202, 203, 204, 205, 50]
    assert set(snapshot.events) == {"item_id", "time", "context_device", "context_hour", "outcome_rating"}


def test_user_features_are_kept(snapshot, model):
    missing = next(f.size for f in model.spec.features if f.name == "user_gender") - 1
    gender = snapshot.features["user_gender"]
    assert (gender.values.tolist(), gender.starts.tolist()) == ([0, missing], [0, 1, 2, 2])


def answer_to(functions, *rows):
    return {name: values.numpy() for name, values in functions.recommend(serialized(*rows)).items()}


KNOWN = {
    "item_id": ["i4", "i5", "i6", "i7", "i0", "i1"],
    "context_device": ["tv"] * 6,
    "context_hour": [102, 103, 202, 203, 204, 205],
    "time": [102, 103, 202, 203, 204, 205],
    "user_gender": ["F"],
}


def users(shop_graph):
    return [name.decode() for name in shop_graph.vocabulary_by_name("user_id")]


@pytest.mark.parametrize("own", [[], [900]])
def test_a_user_id_alone_is_answered_as_if_it_had_brought_everything(functions, shop_graph, own):
    user = {"user_id": users(shop_graph)[:1], "k": [8]}
    alone = {**user, "time": own, "context_hour": own}
    whole = {**user, **KNOWN, "time": KNOWN["time"] + own, "context_hour": KNOWN["context_hour"] + own}
    answer = answer_to(functions, alone, whole)
    assert answer["count"].tolist() == [2, 2]
    for values in answer.values():
        if values.dtype.kind == "f":  # products of matrices round rows of one batch differently
            np.testing.assert_allclose(values[0], values[1], rtol=1e-5)
        else:
            assert values[0].tolist() == values[1].tolist()


def test_an_own_history_overrides_and_an_unknown_user_is_cold(functions, shop_graph, call):
    rows = [
        {"user_id": ["nobody"], "k": [8]},
        {"user_id": users(shop_graph)[:1], "item_id": ["i3"], "user_gender": ["F"]},
    ]
    answer = answer_to(functions, *rows)
    expected = call("recommend", examples=serialized(*rows))
    assert answer["item_id"].tolist() == expected["item_id"].tolist()
    assert answer["count"].tolist() == [8, 3]


def test_evaluation_does_not_look_at_it(functions, shop_graph, call):
    row = {"user_id": users(shop_graph)[:1], "item_id": ["i3"], "is_positive": [1], "is_target": [1], "time": [9]}
    found = functions.evaluation.evaluate(serialized(row))
    expected = call("evaluate", examples=serialized(row))
    np.testing.assert_allclose(found["target_rank"], expected["target_rank"])
    np.testing.assert_allclose(found["rating"], expected["rating"], rtol=1e-5)


def test_plain_tensors_and_empty_batches_are_completed_too(functions, shop_graph):
    names = users(shop_graph)[:1]
    empty = tf.zeros([1, 0], tf.string)
    plain = functions.recommend_tensors(
        tf.constant(names), empty, tf.zeros([1, 0], tf.int64), tf.zeros([1], tf.int64), empty, tf.constant([8])
    )
    assert plain["item_id"].numpy().tolist() == answer_to(functions, {"user_id": names, "k": [8]})["item_id"].tolist()
    assert functions.recommend(tf.constant([], tf.string))["count"].shape == (0,)
