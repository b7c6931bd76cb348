import numpy as np
import pytest
import tensorflow as tf
from tensorflow_recommenders.layers.feature_multiplexing import UnifiedEmbedding, UnifiedEmbeddingConfig

from tests.trainer.model.cold import cold_config
from tests.trainer.small import draw_rows, small_config, small_model, sparse_features
from trainer.data.windows import dense_windows
from trainer.export.quantised_tables import QuantisedTable, quantise_tables
from trainer.layers.tables import EmbeddingTables
from trainer.training.optimizers import is_embedding, make_optimizer
from trainer.training.step import ReplicaStep

SIZE = 100
UNIFIED = {"rows": 50, "width": 2, "tables": 2}
ALL_FORMS = {
    "item_id": {"method": "quotient_remainder", "rows": 4},
    "user_id": {"method": "hash", "rows": 5},
    "item_genres": {"method": "quotient_remainder", "rows": 2, "combine": "sum"},
    "default": "unified",
}


def with_tables(tables, **changes):
    return small_config(model={**small_config().model.model_dump(exclude_unset=True), "tables": tables, **changes})


def made(tables, size=SIZE, dimension=6, table="item_id", **changes):
    layer = EmbeddingTables(with_tables(tables, **changes)).make(table, size, dimension, "made")
    return layer, layer(tf.range(size, dtype=tf.int64)).numpy()


def test_a_hashed_id_has_the_row_of_its_hash_and_the_unknown_one_its_own():
    layer, vectors = made({"item_id": {"method": "hash", "rows": 7}})
    (part,) = layer.parts
    assert part.embeddings.shape == [8, 6]
    hashes = tf.strings.to_hash_bucket_strong(tf.as_string(tf.range(SIZE - 1)), 7, key=[42, 42]).numpy()
    assert set(hashes) == set(range(7))
    np.testing.assert_array_equal(vectors[:-1], part.embeddings.numpy()[hashes])
    np.testing.assert_array_equal(vectors[-1], part.embeddings.numpy()[7])
    ids = tf.constant([[3, 5], [99, 0]], tf.int32)
    np.testing.assert_array_equal(layer(ids), vectors[ids.numpy()])


@pytest.mark.parametrize(("combine", "joined"), [("product", np.multiply), ("sum", np.add)])
def test_quotient_and_remainder_are_combined_by_component(combine, joined):
    layer, vectors = made({"item_id": {"method": "quotient_remainder", "rows": 30, "combine": combine}})
    remainder, quotient = (part.embeddings.numpy() for part in layer.parts)
    assert (len(remainder), len(quotient)) == (30, 4)
    np.testing.assert_array_equal(vectors[64], joined(remainder[4], quotient[2]))
    np.testing.assert_array_equal(vectors[29], joined(remainder[29], quotient[0]))
    assert len(np.unique(vectors, axis=0)) == SIZE
    assert 0.03 < vectors.std() < 0.1


def test_unified_vectors_are_those_of_tfrs():
    ids = {"item_id": tf.constant([3, 99, 0]), "user_id": tf.constant([3, 2, 1])}
    tables = EmbeddingTables(with_tables({"default": "unified"}, unified=UNIFIED))
    ours = {name: tables.make(name, SIZE, width, name) for name, width in (("item_id", 6), ("user_id", 4))}
    found = [layer(ids[name]) for name, layer in ours.items()]
    assert tables.make("item_id", SIZE, 6, "another") is ours["item_id"]
    assert ours["user_id"].parts == ours["item_id"].parts

    config = UnifiedEmbeddingConfig(50, 2, 2, "unified")
    config.add_feature("item_id", 3)
    config.add_feature("user_id", 2)
    theirs = UnifiedEmbedding(config, tf.tpu.experimental.embedding.SGD())
    theirs(ids)
    for number, part in enumerate(ours["item_id"].parts):
        table = next(t for t in theirs._embedding_layer.embedding_tables if t.name == f"unified_{number}")
        theirs._embedding_layer.embedding_tables[table].assign(part.embeddings)
    for vectors, expected in zip(found, theirs(ids), strict=True):
        np.testing.assert_array_equal(vectors, expected)


def test_a_table_that_would_not_shrink_has_a_row_for_each_id():
    for form in ({"method": "hash", "rows": 99}, {"method": "quotient_remainder", "rows": 98}):
        layer, _ = made({"default": form})
        assert layer.embeddings.shape == [SIZE, 6]
    assert made({"user_id": {"method": "hash", "rows": 2}})[0].embeddings.shape == [SIZE, 6]


@pytest.fixture
def mixed():
    """A model with tables of every form, whose cold items have their content alone."""
    tasks = {"retrieval": {"kind": "retrieval", "negatives": "frequency", "samples": 3}}
    values = cold_config().model.model_dump(exclude_unset=True)
    return small_model(
        small_config(model={**values, "tables": ALL_FORMS, "unified": UNIFIED, "user_id": "both"}, tasks=tasks)
    )


def test_a_step_updates_the_touched_rows_of_every_form_and_all_of_them_are_restored(mixed, tmp_path):
    window = dense_windows(sparse_features(draw_rows(1, 2, longest=3)), mixed.spec)
    optimizer = make_optimizer(mixed.config.training.optimizer, 10, mixed.trainable_variables, is_lazy=True)
    step = ReplicaStep(mixed, optimizer, None, None, is_lazy=True)
    tables = {v.name: v for v in mixed.trainable_variables if is_embedding(v) and "gap" not in v.name}
    shapes = {name.split("/")[-2]: v.shape.as_list() for name, v in tables.items() if "bias" not in name}
    assert shapes["unified_0"] == shapes["unified_1"] == [50, 2]
    assert shapes["hashed"] == [6, 8]
    before = {name: v.numpy() for name, v in tables.items()}
    step(window)
    changed = {name: (v.numpy() != before[name]).any(axis=1) for name, v in tables.items()}
    assert all(rows.any() for name, rows in changed.items() if "bias" not in name), changed
    assert not changed[next(name for name in tables if "hashed" in name)].all()
    assert not changed[next(name for name in tables if "unified_0" in name)].all()

    expected = mixed.candidate_embeddings().numpy()
    saved = tf.train.Checkpoint(model=mixed, optimizer=optimizer).write(str(tmp_path / "state"))
    other = small_model(mixed.config, seed=2)
    slots = make_optimizer(mixed.config.training.optimizer, 10, other.trainable_variables, is_lazy=True)
    assert np.abs(other.candidate_embeddings() - expected).max() > 0.01
    tf.train.Checkpoint(model=other, optimizer=slots).read(saved).assert_consumed()
    np.testing.assert_array_equal(other.candidate_embeddings(), expected)


def test_shared_rows_are_quantised_once(mixed):
    window = dense_windows(sparse_features(draw_rows(1, 4)), mixed.spec)
    query, items = mixed.encode(window).embedding, mixed.candidate_embeddings()
    quantise_tables(mixed)
    ids, users, tags = mixed.candidates.ids, mixed.queries.user_ids, mixed.queries.user.tables["user_tags"]
    assert all(isinstance(part, QuantisedTable) for table in (ids, users, tags) for part in table.parts)
    assert tags.parts[0] is mixed.queries.context.tables["context_device"].parts[0]
    assert 0 < np.abs(mixed.candidate_embeddings() - items).max() < 0.05
    np.testing.assert_allclose(mixed.encode(window).embedding, query, atol=0.5)
