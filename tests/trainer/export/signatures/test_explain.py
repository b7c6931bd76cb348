"""Explanations against requests that lack the event."""

import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.served import serialized
from trainer.export.saved_model import ExportedModel
from trainer.stacking.recommender import StackedRecommender

EVENTS = ["i1", "x", "i2", "i5", "i2"]
REQUEST = {
    "user_id": ["u0"],
    "user_gender": ["F"],
    "item_id": EVENTS,
    "time": [1000, 2000, 2500, 4000, 7000, 9000],
    "outcome_rating": ["5", "3", "2", "1", "5"],
    "candidate_item_id": ["i7", "new", "i0"],
}


@pytest.fixture(scope="module")
def answer(call):
    return call("explain", examples=serialized(REQUEST, {"candidate_item_id": ["i3"]}, {}))


def without(event):
    """The request as if the event had not happened."""
    kept = [n for n in range(len(EVENTS)) if n != event]
    times = [REQUEST["time"][n] for n in [*kept, len(EVENTS)]]
    ratings = [REQUEST["outcome_rating"][n] for n in kept]
    return {**REQUEST, "item_id": [EVENTS[n] for n in kept], "time": times, "outcome_rating": ratings}


def test_an_effect_is_the_score_minus_that_of_a_request_without_the_event(call, answer):
    score = call("rank", examples=serialized(REQUEST))["score"][0]
    lacking = {n: call("rank", examples=serialized(without(n)))["score"][0] for n in (0, 2, 3, 4)}
    for item in range(3):
        effects = {5 - n: score[item] - scores[item] for n, scores in lacking.items()}
        order = sorted(effects, key=lambda age: -abs(effects[age]))
        assert answer["event_age"][0, item, :4].tolist() == order
        np.testing.assert_allclose(
            answer["event_effect"][0, item, :4], [effects[age] for age in order], rtol=1e-3, atol=1e-5
        )
        names = [EVENTS[5 - age].encode() for age in order]
        assert answer["event_item_id"][0, item].tolist() == [*names, b""]


def test_unknown_items_and_absent_histories_explain_nothing(answer):
    assert answer["event_count"].tolist() == [4, 0, 0]
    assert answer["event_item_id"].shape == (3, 3, 5)
    assert not answer["event_effect"][1:].any()
    assert set(answer["event_item_id"][1:].ravel().tolist()) == {b""}


def test_scores_are_those_of_rank_and_the_sum_of_their_parts(call, answer):
    rank = call("rank", examples=serialized(REQUEST))
    assert answer["count"].tolist() == [3, 1, 0]
    assert answer["item_id"].tolist() == [[b"i7", b"new", b"i0"], [b"i3", b"", b""], [b"", b"", b""]]
    np.testing.assert_allclose(answer["score"][0], rank["score"][0], rtol=1e-6, atol=1e-6)
    parts = {name: values for name, values in answer.items() if name.startswith("utility_")}
    assert set(parts) == {"utility_retrieval_score", "utility_rating", "utility_like"}
    np.testing.assert_allclose(parts["utility_rating"][0], 2 * rank["rating"][0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(sum(parts.values()), answer["score"], rtol=1e-5, atol=1e-6)


def test_an_empty_batch_and_a_request_without_candidates_are_answered(call):
    empty = call("explain", examples=tf.constant([], tf.string))
    assert empty["count"].shape == (0,)
    alone = call("explain", examples=serialized({"item_id": ["i1"]}))
    assert (alone["count"].tolist(), alone["score"].shape) == ([0], (1, 0))


def test_explanations_in_blocks_are_those_of_each_candidate_alone(shop_model, shop_graph, shop_config):
    """Blocks of four pairs of a history and an item: every event left out of every candidate is a block of its own."""
    explain = ExportedModel(StackedRecommender(shop_model), shop_graph, shop_config).functions.explainer
    recommender = explain._recommender
    rows = [{**REQUEST, "candidate_item_id": ["i7", "i0", "new", "i3", "i4", "i6", "i1"]}, {**REQUEST, "item_id": []}]
    whole = explain.explain(serialized(*rows))
    ranked = recommender.rank(serialized(*rows))
    recommender.pairs = 4
    for name, values in explain.explain(serialized(*rows)).items():
        if values.dtype.is_floating:
            np.testing.assert_allclose(values, whole[name], rtol=1e-4, atol=1e-5)
        else:
            assert values.numpy().tolist() == whole[name].numpy().tolist()
    for name, values in recommender.rank(serialized(*rows)).items():
        if values.dtype.is_floating:
            np.testing.assert_allclose(values, ranked[name], rtol=1e-4, atol=1e-5)
        else:
            assert values.numpy().tolist() == ranked[name].numpy().tolist()
