"""Configurations other than the exported one's, traced but not saved."""

import numpy as np
import pytest

from tests.trainer.served import ITEMS, serialized, shop, untrained_model
from trainer.export.saved_model import ExportedModel
from trainer.export.signatures.recommend import utility_weights
from trainer.stacking.recommender import StackedRecommender

REQUEST = {"user_id": ["u0"], "item_id": ["i1", "i2"], "k": [8]}


@pytest.fixture(scope="module")
def answers(shop_graph):
    """A function from a configuration and requests to the answers of its `recommend`."""

    def run(config, *rows):
        functions = ExportedModel(StackedRecommender(untrained_model(config, shop_graph)), shop_graph, config).functions
        answer = functions.recommend(serialized(*rows))
        return {name: values.numpy() for name, values in answer.items()}

    return run


def tasks_without_retrieval():
    return {name: task for name, task in shop().model_dump(exclude_unset=True)["tasks"].items() if name != "retrieval"}


def test_by_default_retrieval_alone_orders(answers):
    answer = answers(shop(serving={}), REQUEST)
    assert answer["score"].tolist() == answer["retrieval_score"].tolist()
    assert (np.diff(answer["score"][0, :6]) <= 0).all()
    assert answer["count"].tolist() == [6]


def test_history_may_come_back(answers):
    config = shop(serving={"exclude_history": False})
    answer = answers(config, {**REQUEST, "exclude_item_id": ["i2", "i5"]})
    assert sorted(answer["item_id"][0].tolist()) == [b"", b""] + [i.encode() for i in ITEMS if i not in ("i2", "i5")]


def test_the_answer_is_never_longer_than_max_k(answers):
    assert answers(shop(serving={"max_k": 2, "default_k": 1}), REQUEST)["item_id"].shape == (1, 2)


def test_without_a_retrieval_task_the_whole_catalogue_is_ranked(answers):
    config = shop(tasks=tasks_without_retrieval(), serving={"candidates": 1})
    answer = answers(config, REQUEST, {"item_id": ITEMS, "k": [3]})
    assert answer["count"].tolist() == [6, 0]
    assert "retrieval_score" not in answer
    assert set(answer["item_id"][0].tolist()) == {b"i0", b"i3", b"i4", b"i5", b"i6", b"i7", b""}
    np.testing.assert_allclose(answer["score"], answer["rating"] + answer["like"] + answer["order"], rtol=1e-5)
    assert (np.diff(answer["score"][0, :6]) <= 0).all()


def test_without_a_retrieval_task_no_embedding_is_served(shop_graph):
    config = shop(tasks=tasks_without_retrieval(), serving={})
    module = ExportedModel(StackedRecommender(untrained_model(config, shop_graph)), shop_graph, config)
    signatures = module.concrete_signatures()
    assert set(signatures) == {
        "serving_default",
        "recommend",
        "recommend_tensors",
        "rank",
        "explain",
        "interests",
        "evaluate",
        "evaluation_labels",
        "request_features",
    }
    found = signatures["evaluate"](examples=serialized({"item_id": ["i1"], "is_positive": [1]}))
    assert found["rating"].shape == found["user_key"].shape == (1,)
    # No metric reads ranks then, which take the whole catalogue for each example.
    assert not {"target_rank", "top_items", "popularity_rank", "novelty"} & set(found)


@pytest.mark.parametrize(
    ("utility", "expected"),
    [
        ({}, {"retrieval_score": 1}),
        ({"rating": 2.0, "like": 0.0}, {"rating": 2}),
        ({"retrieval": 0.5, "like": 1.0}, {"retrieval_score": 0.5, "like": 1}),
    ],
)
def test_utility_weights_are_by_the_name_of_the_score(utility, expected):
    assert utility_weights(shop(serving={"utility": utility})) == expected


def test_without_a_retrieval_task_the_default_is_the_sum_of_all():
    assert utility_weights(shop(tasks=tasks_without_retrieval(), serving={})) == {"rating": 1, "like": 1, "order": 1}
