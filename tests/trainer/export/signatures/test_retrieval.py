"""The signatures of a model with neighbourhoods: everywhere the towers' score and theirs."""

import numpy as np
import pytest
import scipy.sparse as sp
import tensorflow as tf

from tests.trainer.served import ITEMS, serialized, shop
from trainer.export.index import build
from trainer.export.saved_model import ExportedModel
from trainer.model.recommender import RecommenderModel
from trainer.stacking.neighbours import Neighbours, NeighbourTable
from trainer.stacking.recommender import StackedRecommender

HISTORIES = [["i1"], ["i2", "i5", "new"], [], ["i7", "i0", "i3", "i1"]]
DECAY, WEIGHT = 0.5, 3.0
LINKS = np.random.default_rng(4).random((len(ITEMS), len(ITEMS))).astype(np.float32) * (1 - np.eye(len(ITEMS)))


@pytest.fixture(scope="module", params=["exact", "int8", "ivf"])
def exported(request, shop_config, shop_graph, shop_model):
    approximate = {"shortlist": 8} if request.param != "exact" else {}
    approximate |= {"partitions": 3, "probes": 3} if request.param == "ivf" else {}
    serving = shop_config.serving.model_dump(exclude_unset=True) | {"index": request.param, **approximate}
    config = shop(serving=serving)
    model = RecommenderModel.__new__(RecommenderModel)
    neighbours = Neighbours([NeighbourTable(sp.csr_matrix(WEIGHT * LINKS), DECAY, name="transitions")], len(ITEMS))
    model.__dict__.update(shop_model.__dict__, config=config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "SMALLEST", 1)
        return ExportedModel(StackedRecommender(model, neighbours), shop_graph, config)


def remembered(history):
    """The neighbourhoods' scores [V], by hand."""
    known = [ITEMS.index(item) for item in history if item in ITEMS]
    return sum((WEIGHT * DECAY**age * LINKS[item] for age, item in enumerate(reversed(known))), np.zeros(len(ITEMS)))


def expected_scores(exported, history):
    query = exported.functions.embed_query(serialized({"item_id": history}))["embedding"]
    return exported.index.scores(query).numpy()[0] + remembered(history)


@pytest.mark.parametrize("history", HISTORIES)
def test_the_best_by_both_scores_are_found(exported, history):
    scores = expected_scores(exported, history)
    scores[[ITEMS.index(item) for item in history if item in ITEMS]] = -np.inf
    answer = exported.functions.retrieve(serialized({"item_id": history, "k": [3]}))
    best = np.argsort(-scores)[:3]
    assert answer["item_id"].numpy()[0].tolist() == [ITEMS[i].encode() for i in best]
    np.testing.assert_allclose(answer["score"][0], scores[best], rtol=1e-4, atol=1e-5)


def test_what_one_batch_asks_is_what_each_asks_alone(exported):
    together = exported.functions.retrieve(serialized(*({"item_id": h, "k": [4]} for h in HISTORIES)))
    for row, history in enumerate(HISTORIES):
        alone = exported.functions.retrieve(serialized({"item_id": history, "k": [4]}))
        count = int(alone["count"][0])
        assert together["item_id"][row, :count].numpy().tolist() == alone["item_id"][0, :count].numpy().tolist()


def test_ranked_items_have_both_scores(exported):
    answer = exported.functions.recommender.rank(
        serialized({"item_id": HISTORIES[1], "candidate_item_id": ["i3", "new", "i6"]})
    )
    scores = expected_scores(exported, HISTORIES[1])
    np.testing.assert_allclose(answer["retrieval_score"][0].numpy()[[0, 2]], scores[[3, 6]], rtol=1e-4, atol=1e-5)


def test_the_target_is_ranked_by_both_scores(exported):
    """The newest event is the target; its own item is no part of the history."""
    times = {"time": [1, 2, 3]}
    window = {"item_id": ["i2", "i5", "i4"], "is_positive": [1, 1, 1], "is_target": [0, 0, 1], **times}
    answer = exported.functions.evaluation.evaluate(serialized({**window, "seen_item_id": ["i2", "i5"]}))
    query = exported.functions.embed_query(serialized({"item_id": ["i2", "i5"], **times}))["embedding"]
    scores = exported.index.scores(query).numpy()[0] + remembered(["i2", "i5"])
    scores[[2, 5]] = -np.inf
    assert answer["target_rank"].numpy().tolist() == [1 + np.sum(scores > scores[4])]
    assert answer["top_items"][0].numpy().tolist() == np.argsort(-scores)[:5].tolist()


@pytest.mark.parametrize("exported", ["ivf"], indirect=True)
def test_the_saved_model_remembers(exported, tmp_path):
    signatures = exported.concrete_signatures()
    tf.saved_model.save(exported, str(tmp_path / "model"), signatures=signatures)
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    examples = serialized(*({"item_id": h, "k": [4]} for h in HISTORIES))
    answer, expected = loaded.signatures["recommend"](examples=examples), signatures["recommend"](examples=examples)
    assert answer["item_id"].numpy().tolist() == expected["item_id"].numpy().tolist()
