import numpy as np
import tensorflow as tf

from tests.trainer.model.cold import cold_config
from tests.trainer.small import draw_rows, small_config, small_model, sparse_features
from trainer.data.windows import dense_windows
from trainer.export.quantised_tables import QuantisedTable, quantise_tables


def test_a_number_is_off_by_half_a_step_of_its_row():
    vectors = tf.constant([[12.7, -6.34, 0.04], [0.0, 0, 0]])
    table = QuantisedTable(vectors)
    np.testing.assert_array_equal(table.numbers, [[127, -63, 0], [0, 0, 0]])
    np.testing.assert_allclose(table(tf.constant([[0], [1]]))[:, 0], [[12.7, -6.3, 0], [0, 0, 0]], rtol=1e-6)


def test_a_quantised_model_answers_almost_the_same():
    model = small_model(cold_config())
    window = dense_windows(sparse_features(draw_rows(1, 4)), model.spec)
    query, items = model.encode(window).embedding, model.candidate_embeddings()
    quantise_tables(model)
    assert isinstance(model.candidates.ids, QuantisedTable)
    assert isinstance(model.queries.user.tables["user_tags"], QuantisedTable)
    assert isinstance(model.candidates.content.tables["item_genres"], QuantisedTable)
    changed = model.candidate_embeddings()
    assert 0 < np.abs(changed - items).max() < 0.05
    np.testing.assert_allclose(model.encode(window).embedding, query, atol=0.3)


def test_a_model_that_only_retrieves_has_no_table_of_users_to_quantise():
    config = small_config()
    model = small_model(config.model_copy(update={"tasks": {"retrieval": config.tasks["retrieval"]}}))
    assert model.config.model.user_id == "ranking"
    quantise_tables(model)
    assert model.queries.user_ids is None
    assert isinstance(model.candidates.ids, QuantisedTable)
