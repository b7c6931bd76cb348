import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.export.signatures.test_evaluate import window
from tests.trainer.served import ITEMS, serialized, shop
from trainer.data.catalogue import load_catalogue
from trainer.export.index.build import build_index
from trainer.export.saved_model import candidate_table
from trainer.export.signatures.evaluate import Evaluation
from trainer.export.signatures.reader import RequestReader
from trainer.export.signatures.recommend import Recommender
from trainer.model.recommender import RecommenderModel
from trainer.stacking.recommender import StackedRecommender
from transform.features import item_vocabulary, model_features, user_vocabulary_size

WARM = 5
"""Of the eight items the last three are cold."""
WINDOWS = [window("u0", ["i0"], "i6", ["i0"]), window("u1", ["i5", "i1"], "i7", ["i5"]), window("u1", ["i7"], "i2")]


@pytest.fixture(scope="module")
def model(shop_graph):
    tf.keras.utils.set_random_seed(1)
    settings = {"dimension": 8, "feature_dimension": 4, "history": {"max_events": 6}, "id_dropout": 0.5}
    config = shop(model={**settings, "generator": {}}, evaluation={"ks": [3, 5], "cold_items": True})
    catalogue = load_catalogue([], shop_graph, config)
    catalogue = dataclasses.replace(catalogue, frequencies=catalogue.frequencies * (np.arange(8) < WARM))
    catalogue.features["item_genres"][5:8, 0] = [0, 1, 2]
    users = user_vocabulary_size(shop_graph)
    return RecommenderModel(config, model_features(config, shop_graph), catalogue, users)


@pytest.fixture(scope="module")
def answer(model, shop_graph):
    reader, table = RequestReader(shop_graph, model.spec), candidate_table(model)
    index, _ = build_index(table, table[:0], model.config.serving)
    item_ids = tf.Variable(item_vocabulary(shop_graph), dtype=tf.string)
    frequencies = tf.Variable(np.where(np.arange(8) < WARM, 8.0 - np.arange(8), 0).astype(np.float32))
    recommender = Recommender(StackedRecommender(model), index, item_ids, reader)
    evaluation = Evaluation(StackedRecommender(model), recommender, frequencies, reader)
    return {n: values.numpy() for n, values in evaluation.evaluate(serialized(*WINDOWS)).items()}


def test_the_exported_table_holds_what_the_content_gives(model):
    before = candidate_table(model)
    model.candidates.ids.embeddings.assign_add(tf.ones([9, 8]))
    np.testing.assert_array_equal(candidate_table(model)[WARM:8], before[WARM:8])
    model.candidates.ids.embeddings.assign_sub(tf.ones([9, 8]))
    assert len(np.unique(before[WARM:8], axis=0)) == 3


def test_cold_targets_are_told_and_ranked_among_themselves(answer):
    assert answer["is_cold_item"].tolist() == [1, 1, 0]
    for row, target in ((0, 6), (1, 7)):
        seen = {ITEMS.index(i) for i in WINDOWS[row]["seen_item_id"]}
        order = [i for i in answer["top_items"][row].tolist() if i >= WARM and i not in seen]
        # The list of five may end before the target.
        expected = order.index(target) + 1 if target in order else len(order) + 1
        assert answer["cold_rank"][row] >= expected
        assert answer["cold_rank"][row] <= 3 - len(seen & {5, 6, 7})
    # Popularity knows nothing: the order is that of the index.
    assert answer["popularity_cold_rank"][:2].tolist() == [2, 2]
