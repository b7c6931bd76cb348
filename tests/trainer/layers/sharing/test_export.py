"""What is saved with each way of sharing answers as the model in memory does."""

import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.served import ITEMS, serialized, shop, untrained_model
from trainer.export.saved_model import EXAMPLES, ExportedModel
from trainer.stacking.recommender import StackedRecommender

REQUESTS = ({"user_id": ["u0"], "item_id": ITEMS[1:3], "time": [1000, 2000, 3000]}, {})


@pytest.mark.parametrize("method", ["cross_stitch", "mmoe", "ple"])
def test_a_saved_model_recommends_what_the_model_does(method, shop_graph, shop_config, tmp_path):
    model = {**shop_config.model.model_dump(), "sharing": method, "cross_layers": 1, "cross_rank": 3}
    config = shop(model=model, serving={**shop_config.serving.model_dump(exclude_unset=True), "teaches": False})
    module = ExportedModel(StackedRecommender(untrained_model(config, shop_graph)), shop_graph, config)
    recommend = tf.function(module.functions.recommend, [EXAMPLES], autograph=False).get_concrete_function()
    module.weights = list(recommend.variables)
    tf.saved_model.save(module, str(tmp_path), signatures={"recommend": recommend})
    examples = serialized(*REQUESTS)
    expected = module.functions.recommend(examples)
    found = tf.saved_model.load(str(tmp_path)).signatures["recommend"](examples=examples)
    assert found["item_id"].numpy().tolist() == expected["item_id"].numpy().tolist()
    assert found["count"].numpy().tolist() == [3, 3]
    for name in ("score", "retrieval_score", "rating", "like"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-6)
