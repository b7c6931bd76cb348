"""The exported model with trend, loaded back, against an independent computation."""

import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.served import ITEMS, serialized, shop, transform_graph
from trainer.data.attributes import words
from trainer.data.catalogue import load_catalogue
from trainer.export.index import build
from trainer.export.saved_model import ExportedModel, export_model
from trainer.model.recommender import RecommenderModel
from trainer.stacking.recommender import StackedRecommender

DAYS = (2160 / 86_400, 5184 / 86_400)
"""Buckets of 2160 seconds, windows of one and of two: item i<n> is bought at second 1000 (n + 1)."""
NEWEST = np.log1p([[0, 0]] * 4 + [[0, 3], [0, 2], [1, 1], [0, 0]])
AT_5000 = np.log1p([[0, 8], [0, 7], [6, 6], [5, 5], *[[0, 0]] * 4])
"""In the bucket that begins at second 4320."""
GENRES = {"genres": words(np.array([b"drama"] * 5, object), np.array([0, 3, 4, 5, 7]))}


def configured(**serving):
    return shop(
        features={"trend": {"days": DAYS}, "item": [{"name": "genres", "kind": "multi_valued"}]},
        tasks={"retrieval": {"kind": "retrieval"}},
        model={"dimension": 8, "history": {"encoder": "mean", "max_events": 6}},
        serving={"filters": ["genres"], **serving},
    )


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return transform_graph(configured(), tmp_path_factory.mktemp("trend_graph"))


@pytest.fixture(scope="module")
def model(graph):
    tf.keras.utils.set_random_seed(1)
    model = RecommenderModel(configured(), [], load_catalogue([], graph, configured()), user_count=2)
    model.queries.trend.kernel.assign(np.random.default_rng(3).normal(size=[8, 2]))
    model.queries.trend.bias.assign([0.5, 1.0])
    return model


@pytest.fixture(scope="module")
def call(model, graph, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("trend") / "model")
    export_model(StackedRecommender(model), graph, configured(), folder, attributes=GENRES)
    loaded = tf.saved_model.load(folder)

    def answer(signature, **inputs):
        tensors = {name: tf.convert_to_tensor(values) for name, values in inputs.items()}
        return {name: values.numpy() for name, values in loaded.signatures[signature](**tensors).items()}

    return answer


@pytest.fixture(scope="module", params=["int8", "ivf"])
def approximate(request, model, graph):
    """The same model behind an approximate index, not saved."""
    partitions = {"partitions": 3, "probes": 3} if request.param == "ivf" else {}
    config = configured(index=request.param, shortlist=8, **partitions)
    other = RecommenderModel.__new__(RecommenderModel)
    other.__dict__.update(model.__dict__, config=config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "SMALLEST", 1)
        module = ExportedModel(StackedRecommender(other), graph, config, attributes=GENRES)
    assert module.index.kind == request.param
    return module.functions


@pytest.fixture(scope="module")
def candidates(call):
    return call("embed_candidate", item_id=[*ITEMS, "new"])["embedding"]


def query(call, request):
    return call("embed_query", examples=serialized(request))["embedding"][0]


def test_candidates_hold_the_newest_trend(candidates):
    np.testing.assert_allclose(candidates[:8, 9:], NEWEST, rtol=1e-5)
    assert candidates[8].tolist() == [0] * 8 + [candidates[:8, 8].min(), 0, 0]


MOMENTS = [(900, NEWEST * 0), (4320, AT_5000), (6479, AT_5000), (8640, NEWEST), (10**9, NEWEST), (None, NEWEST)]
"""When a request is made, and the trend that it is answered with. One that does not say is of now."""


def request(moment, **more):
    own = [] if moment is None else [moment]
    return {"user_id": ["u0"], "item_id": ["i1", "i2"], "time": [100, 200, *own], "k": [6], **more}


def scores_at(call, candidates, sent, trend):
    return np.concatenate([candidates[:8, :9], trend], axis=1) @ query(call, sent)


@pytest.mark.parametrize(("moment", "trend"), MOMENTS)
def test_a_request_is_answered_with_the_trend_of_its_moment(call, candidates, moment, trend):
    sent = request(moment)
    scores = scores_at(call, candidates, sent, trend)
    best = [i for i in np.argsort(-scores) if i not in (1, 2)]
    for signature, name in (("retrieve", "score"), ("recommend", "retrieval_score")):
        answer = call(signature, examples=serialized(sent))
        assert answer["item_id"][0].tolist() == [ITEMS[i].encode() for i in best]
        np.testing.assert_allclose(answer[name][0], scores[best], rtol=1e-4)
    for signature, name in (("rank", "retrieval_score"), ("explain", "utility_retrieval_score")):
        answer = call(signature, examples=serialized({**sent, "candidate_item_id": [*ITEMS, "new"]}))
        np.testing.assert_allclose(answer[name][0], [*scores, candidates[8, 8]], rtol=1e-4)


def test_an_effect_is_that_of_the_moment(call, candidates):
    """Without its only event a request has no history: both scores have the trend of then."""
    sent = {**request(5000, candidate_item_id=ITEMS), "item_id": ["i1"], "time": [100, 5000]}
    without = {"user_id": ["u0"], "time": [5000]}
    effects = call("explain", examples=serialized(sent))["event_effect"][0, :, 0]
    expected = scores_at(call, candidates, sent, AT_5000) - scores_at(call, candidates, without, AT_5000)
    np.testing.assert_allclose(effects, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("signature", ["retrieve", "recommend", "rank", "explain"])
@pytest.mark.parametrize("more", [{}, {"filter_genres": ["drama"]}], ids=["all", "filtered"])
def test_requests_of_many_moments_get_in_one_call_what_each_gets_alone(call, signature, more):
    rows = [request(moment, candidate_item_id=["i7", "new", "i0"], **more) for moment, _ in MOMENTS]
    together = call(signature, examples=serialized(*rows))
    for row, sent in enumerate(rows):
        for name, values in call(signature, examples=serialized(sent)).items():
            if values.dtype.kind == "f":
                np.testing.assert_allclose(together[name][row], values[0], rtol=1e-5, atol=1e-6)
            else:
                assert together[name][row].tolist() == values[0].tolist()


def test_an_approximate_index_finds_the_best_of_each_moment(call, approximate):
    for moments in ([m for m, _ in MOMENTS], [10**9, None]):
        rows = serialized(*map(request, moments))
        answer, expected = approximate.retrieve(rows), call("retrieve", examples=rows)
        assert answer["item_id"].numpy().tolist() == expected["item_id"].tolist()
        np.testing.assert_allclose(answer["score"], expected["score"], rtol=1e-4, atol=1e-6)


def test_plain_tensors_have_a_moment_too(call):
    sent = [request(moment) for moment, _ in MOMENTS]
    rows = len(sent)
    plain = call(
        "recommend_tensors",
        user_id=["u0"] * rows,
        item_id=[["i1", "i2"]] * rows,
        time=np.array([[100, 200]] * rows),
        request_time=np.array([moment or 0 for moment, _ in MOMENTS]),
        exclude_item_id=tf.zeros([rows, 0], tf.string),
        k=tf.fill([rows], 6),
        filter_genres=tf.zeros([rows, 0], tf.string),
    )
    expected = call("recommend", examples=serialized(*sent))
    assert plain["item_id"].tolist() == expected["item_id"].tolist()
    np.testing.assert_allclose(plain["score"], expected["score"], rtol=1e-5)


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
