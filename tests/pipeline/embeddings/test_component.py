"""The component on a small exported model without neighbourhoods, whose vectors hold the whole retrieval score."""

import hashlib
import json
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from tfx.types import standard_artifacts

from pipeline.embeddings.component import EmbeddingExporter, make_embedding_exporter
from serving.manifest import MANIFEST
from tests.trainer.served import ITEMS, serialized, shop, transform_graph, untrained_model
from trainer.export.saved_model import ExportedModel
from trainer.stacking.recommender import StackedRecommender

LOG = {"path": "events.csv", "time": "timestamp"}
DATA = {"folder": "data", "interactions": LOG, "items": {"path": "items.csv", "id": "item_id"}}
TABLES = {"item_id": {"method": "quotient_remainder", "rows": 3}, "item_genres": {"method": "hash", "rows": 2}}
REQUESTS = serialized(
    {"user_id": ["u0"], "item_id": ["i5", "i1"], "context_device": ["tv"], "outcome_rating": ["4"], "k": [8]},
    {"user_id": ["u1"], "k": [8]},
    {"item_id": ["i7", "unknown"], "user_gender": ["F"], "k": [8]},
)


def artifact(kind, folder: Path):
    made = kind()
    made.uri = str(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return made


def save(module: ExportedModel, path: Path) -> dict:
    """Exports the model with three of its signatures, as tracing all of them takes most of an export."""
    functions, examples = module.functions, tf.TensorSpec([None], tf.string, "examples")
    items = partial(functions.embed_candidate, module.index), tf.TensorSpec([None], tf.string, "item_id")
    named = {"retrieve": (functions.retrieve, examples), "embed_query": (functions.embed_query, examples)}
    signatures = {
        name: tf.function(function, input_signature=[spec], autograph=False).get_concrete_function()
        for name, (function, spec) in {**named, "embed_candidate": items}.items()
    }
    module.weights = list({id(v): v for function in signatures.values() for v in function.variables}.values())
    tf.saved_model.save(module, str(path), signatures=signatures)
    return signatures


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """The signature `retrieve` and what Trainer and Pusher write, for a model with trend and shared rows."""
    folder = tmp_path_factory.mktemp("embeddings")
    values = shop().model_dump(exclude_unset=True)
    values["features"]["trend"] = {"days": [1, 7]}
    values["model"]["tables"] = TABLES
    values["tasks"] = {"retrieval": {"kind": "retrieval"}}
    values["serving"] = {"default_k": 8, "exclude_history": False, "embeddings": True}
    config = shop(**{**values, "data": DATA})
    graph = transform_graph(config, folder / "graph")
    model = untrained_model(config, graph)
    model.queries.trend.kernel.assign_add(tf.random.normal(model.queries.trend.kernel.shape, seed=1))  # 0 at the start
    path = folder / "model" / "Format-Serving"
    signatures = save(ExportedModel(StackedRecommender(model), graph, config), path)
    run, pushed = artifact(standard_artifacts.ModelRun, folder / "run"), folder / "pushed"
    weights = {"retrieval": {"network": 1.0, "cosine": 0.25}, "rating": {"network": 0.9}}
    (folder / "run" / "training.json").write_text(json.dumps({"weights": weights}))
    pushed = artifact(standard_artifacts.PushedModel, pushed)
    Path(pushed.uri, MANIFEST).write_text("# SHA-256 of 0 files\n")
    pushed.set_int_custom_property("pushed", 1)
    pushed.set_string_custom_property("pushed_version", "17")
    return signatures["retrieve"], artifact(standard_artifacts.Model, folder / "model"), run, pushed


def run(made, folder: Path, rows: int = 3) -> standard_artifacts.InferenceResult:
    _, model, model_run, pushed = made
    output = artifact(standard_artifacts.InferenceResult, folder)
    settings = {"task": "retrieval", "dimension": 8, "rows": rows, "fingerprint": ""}
    inputs = {"model": [model], "model_run": [model_run], "pushed_model": [pushed]}
    EmbeddingExporter.EXECUTOR_SPEC.executor_class().Do(inputs, {"embeddings": [output]}, settings)
    return output


def served_queries(path: Path) -> np.ndarray:
    """The embeddings of the requests, by a TensorFlow 1 session as TensorFlow Serving runs a SavedModel."""
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        signatures = tf.compat.v1.saved_model.load(session, ["serve"], str(path)).signature_def
        assert signatures["serving_default"].inputs.keys() == {"examples"}
        signature = signatures["embed_query"]
        examples = {signature.inputs["examples"].name: REQUESTS.numpy()}
        return session.run(signature.outputs["embedding"].name, examples)


@pytest.fixture(scope="module")
def exported(inputs, tmp_path_factory) -> Path:
    return Path(run(inputs, tmp_path_factory.mktemp("exported")).uri)


def test_a_search_of_the_vectors_by_the_served_query_is_the_models_own(inputs, exported):
    expected = inputs[0](examples=REQUESTS)
    queries = served_queries(exported / "query_tower" / "17")
    candidates = pq.read_table(exported / "candidates.parquet")
    vectors = np.stack(candidates["embedding"].to_numpy())
    assert vectors.shape == (8, 11)
    assert np.abs(vectors[:, 9:]).max() > 0
    assert candidates["item_id"].to_pylist() == ITEMS
    np.testing.assert_allclose(candidates["norm"], np.linalg.norm(vectors, axis=1), rtol=1e-6)
    scores = queries @ vectors.T
    best = np.argsort(-scores, axis=1)
    found = np.array(candidates["item_id"], object)[best]
    assert found.tolist() == [[item.decode() for item in row] for row in expected["item_id"].numpy().tolist()]
    np.testing.assert_allclose(np.take_along_axis(scores, best, 1), expected["score"], rtol=1e-5)


def test_the_query_tower_holds_neither_index_nor_ranking(exported, inputs):
    def variables(path: Path) -> dict[str, list[int]]:
        found = tf.train.list_variables(str(path / "variables" / "variables"))
        return {name: shape for name, shape in found if "CHECKPOINTABLE" not in name}

    tower, model = exported / "query_tower" / "17", Path(inputs[1].uri) / "Format-Serving"
    index, remainders = [11, 64], [3, 8]
    of_tower, of_model = (list(variables(path).values()) for path in (tower, model))
    assert [shape in of_model for shape in (index, remainders)] == [True, True]
    assert [shape in of_tower for shape in (index, remainders)] == [False, True]
    names = {path.name for path in (tower / "assets").iterdir()}
    assert names == {"item_id", "user_id", "user_gender", "context_device", "outcome_rating", "item_genres"}


def test_the_description_says_what_the_vectors_are(inputs, exported):
    manifest = hashlib.sha256(Path(inputs[3].uri, MANIFEST).read_bytes()).hexdigest()
    expected = {"model_version": "17", "manifest_sha256": manifest, "metric": "inner_product"}
    metadata = {k.decode(): v.decode() for k, v in pq.read_schema(exported / "candidates.parquet").metadata.items()}
    assert {key: metadata[key] for key in expected} == expected
    found = json.loads((exported / "embeddings.json").read_text())
    assert {key: found[key] for key in expected} == expected
    assert (found["items"], found["dimension"]) == (8, 11)
    assert found["parts"] == {"vector": [0, 8], "bias": [8, 9], "trend": [9, 11]}
    assert found["not_in_vectors"] == {"cosine": 0.25}
    assert (exported / found["query_tower"] / "saved_model.pb").is_file()


def test_of_a_model_that_was_not_pushed_nothing_is_written(inputs, tmp_path):
    refused = artifact(standard_artifacts.PushedModel, tmp_path / "pushed")
    refused.set_int_custom_property("pushed", 0)
    output = run((*inputs[:3], refused), tmp_path / "output")
    assert list(Path(output.uri).iterdir()) == []
    assert output.get_int_custom_property("exported") == 0


def test_without_the_key_there_is_no_component():
    assert make_embedding_exporter(shop(), None, None, None) is None
