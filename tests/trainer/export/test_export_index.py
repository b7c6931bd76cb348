"""The exported functions on an approximate index: the same answers, and its recall."""

import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.export.signatures.test_evaluate import WINDOWS
from tests.trainer.served import ITEMS, serialized, shop
from trainer.export.index import build
from trainer.export.saved_model import ExportedModel
from trainer.export.signatures.retrieval import Query
from trainer.model.recommender import RecommenderModel
from trainer.stacking.recommender import StackedRecommender

REQUESTS = [{"user_id": ["u0"], "item_id": ["i1"], "k": [4]}, {"exclude_item_id": ITEMS[:7]}, {"k": [8]}, {}]


@pytest.fixture(scope="module", params=["int8", "ivf"])
def exported(request, shop_config, shop_graph, shop_model):
    parameters = {"partitions": 3, "probes": 3} if request.param == "ivf" else {}
    serving = {**shop_config.serving.model_dump(exclude_unset=True), "index": request.param, "shortlist": 8}
    config = shop(serving={**serving, **parameters})
    model = RecommenderModel.__new__(RecommenderModel)
    model.__dict__.update(shop_model.__dict__, config=config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "SMALLEST", 1)
        return ExportedModel(StackedRecommender(model), shop_graph, config)


def test_the_report_names_the_index(exported):
    assert exported.index_report.kind == exported.index.kind in ("int8", "ivf")
    assert exported.index_report.recall == 1


def test_recommendations_are_those_of_the_exact_index(exported, call):
    answer = exported.functions.recommend(serialized(*REQUESTS))
    expected = call("recommend", examples=serialized(*REQUESTS))
    assert answer["item_id"].numpy().tolist() == expected["item_id"].tolist()
    np.testing.assert_allclose(answer["score"], expected["score"], rtol=1e-4, atol=1e-5)


def test_embeddings_are_those_of_the_exact_index(exported, call):
    answer = exported.functions.embed_candidate(exported.index, tf.constant([*ITEMS, "new"]))["embedding"]
    np.testing.assert_allclose(answer, call("embed_candidate", item_id=[*ITEMS, "new"])["embedding"])


def test_evaluation_says_what_the_index_finds(exported, call):
    examples = serialized(*WINDOWS)
    answer = exported.functions.evaluation.evaluate(examples)
    expected = call("evaluate", examples=examples)
    assert answer["index_recall"].numpy().tolist() == [1] * len(WINDOWS)
    assert answer["target_rank"].numpy().tolist() == expected["target_rank"].tolist()
    assert "index_recall" not in expected


def test_a_missed_item_lowers_the_recall(exported, shop_model, call):
    best = np.array([[0, 1, 2, -1]])
    query = Query.of(shop_model, exported.functions.reader.window(exported.functions.reader.raw(serialized({}))))
    recommender = exported.functions.recommender
    nothing = np.zeros((1, 0), np.int64)
    found = exported.index.search(query.state.embedding, np.int32(4), nothing)[1].numpy()[0]
    share = np.isin([0, 1, 2], found).mean()
    assert recommender.index_recall(query, best, nothing).numpy() == pytest.approx([share])
    assert recommender.index_recall(query, np.array([[-1]]), nothing).numpy().tolist() == [1]
