"""The exported model with trend, loaded back, against an independent computation."""

import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.served import ITEMS, serialized, shop, transform_graph
from trainer.catalogue import load_catalogue
from trainer.export import export_model
from trainer.model import RecommenderModel

DAYS = (2160 / 86_400, 5184 / 86_400)
"""Buckets of 2160 seconds, windows of one and of two: item i<n> is bought at second 1000 (n + 1)."""
NEWEST = np.log1p([[0, 0]] * 4 + [[0, 3], [0, 2], [1, 1], [0, 0]])
AT_5000 = np.log1p([[0, 8], [0, 7], [6, 6], [5, 5], *[[0, 0]] * 4])
"""In the bucket that begins at second 4320."""


@pytest.fixture(scope="module")
def call(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trend")
    config = shop(
        features={"trend": {"days": DAYS}},
        tasks={"retrieval": {"kind": "retrieval"}},
        model={"dimension": 8, "history": {"encoder": "mean", "max_events": 6}},
        serving={},
    )
    graph = transform_graph(config, folder / "graph")
    tf.keras.utils.set_random_seed(1)
    model = RecommenderModel(config, [], load_catalogue([], graph, config), user_count=2)
    model.queries.trend.kernel.assign(np.random.default_rng(3).normal(size=[8, 2]))
    model.queries.trend.bias.assign([0.5, 1.0])
    export_model(model, graph, config, str(folder / "model"))
    loaded = tf.saved_model.load(str(folder / "model"))

    def answer(signature, **inputs):
        tensors = {name: tf.convert_to_tensor(values) for name, values in inputs.items()}
        return {name: values.numpy() for name, values in loaded.signatures[signature](**tensors).items()}

    return answer


@pytest.fixture(scope="module")
def candidates(call):
    return call("embed_candidate", item_id=[*ITEMS, "new"])["embedding"]


def query(call, request):
    return call("embed_query", examples=serialized(request))["embedding"][0]


def test_candidates_hold_the_newest_trend(candidates):
    np.testing.assert_allclose(candidates[:8, 9:], NEWEST, rtol=1e-5)
    assert candidates[8].tolist() == [0] * 8 + [candidates[:8, 8].min(), 0, 0]


def test_a_request_is_answered_with_the_newest_trend(call, candidates):
    request = {"user_id": ["u0"], "item_id": ["i1", "i2"], "time": [1000, 2000, 2500], "k": [6]}
    scores = candidates[:8] @ query(call, request)
    best = [i for i in np.argsort(-scores) if i not in (1, 2)]
    for signature, name in (("retrieve", "score"), ("recommend", "retrieval_score")):
        answer = call(signature, examples=serialized(request))
        assert answer["item_id"][0].tolist() == [ITEMS[i].encode() for i in best]
        np.testing.assert_allclose(answer[name][0], scores[best], rtol=1e-4)


@pytest.mark.parametrize(
    ("moment", "trend"),
    [(900, NEWEST * 0), (4320, AT_5000), (6479, AT_5000), (8640, NEWEST), (10**9, NEWEST)],
)
def test_evaluation_ranks_with_the_trend_of_the_targets_time(call, candidates, moment, trend):
    past = {"user_id": ["u1"], "item_id": ["i5"], "time": [100, moment]}
    then = np.concatenate([candidates[:8, :9], trend], axis=1)
    order = [ITEMS[i] for i in np.argsort(-(then @ query(call, past))) if i != 5]
    for target in ("i0", "i2", "i6"):
        row = {**past, "item_id": ["i5", target], "is_positive": [1, 1], "is_target": [0, 1], "seen_item_id": ["i5"]}
        answer = call("evaluate", examples=serialized(row))
        assert answer["target_rank"].tolist() == [order.index(target) + 1]
        assert [ITEMS[i] for i in answer["top_items"][0]] == order[:5]
