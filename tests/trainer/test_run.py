import json
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from pipeline.calls import ANSWERS_FILE, read_calls
from pipeline.config import dump_config
from pipeline.infra.replay import differences
from tests.trainer.served import history, serialized, shop, transform_graph
from tests.trainer.small import encoder_config, write_rows
from trainer.arguments import RunArguments
from trainer.run import TrainingJob, run_fn

ITEM_PAIRS = [(n % 8, (n + 1) % 8) for n in range(12)]


def window(items, **features):
    ones = [1] * len(items)
    labels = {"label_like": [float(i % 2) for i in items], "weight_like": [1.0] * len(items)}
    return {"user_id": [0], "item_id": list(items), "is_positive": ones, "is_target": ones, **labels, **features}


def write_splits(folder):
    """Transformed examples, as the component lays them out."""
    for split in ("train", "eval", "items"):
        (folder / f"Split-{split}").mkdir(parents=True)
    write_rows(folder / "Split-train" / "data-0.gz", [window(pair) for pair in ITEM_PAIRS])
    target = {"is_target": [0, 1], "is_cold_user": [0]}
    rows = [window(pair, seen_item_id=[pair[0]], **target) for pair in ITEM_PAIRS[:4]]
    write_rows(folder / "Split-eval" / "data-0.gz", rows)
    write_rows(folder / "Split-items" / "data-0.gz", [{"catalogue_id": [n], "item_genres": [0]} for n in range(8)])


def write_raw(folder):
    """The eval split before Transform: one window."""
    folder.mkdir()
    row = history("u0", ["i3", "i1", "i6"], user_gender=["F"], is_target=[0, 0, 1])
    with tf.io.TFRecordWriter(str(folder / "data-0.gz"), "GZIP") as writer:
        writer.write(serialized(row)[0].numpy())


def arguments(folder, checkpoints, tuned):
    """What TFX tells a training on the data and the graph in the folder, with the Tuner's values."""
    config = shop(
        tasks={"retrieval": {"kind": "retrieval"}, "like": {"kind": "binary", "label": "rating >= 4"}},
        model=encoder_config("decay").model.model_dump(),
        serving={},
        training={"epochs": 1, "batch_size": 8, "fit_on": ["train", "eval"]},
    )
    graph = folder / "graph"
    if not graph.exists():
        transform_graph(config, graph)
    return SimpleNamespace(
        train_files=[str(folder / "examples/Split-train/*")],
        eval_files=[str(folder / "examples/Split-eval/*")],
        transform_graph_path=str(graph),
        serving_model_dir=str(folder / "model"),
        model_run_dir=str(folder / "logs"),
        hyperparameters={"space": [], "values": tuned},
        custom_config={
            "config": dump_config(config),
            "checkpoint_folder": str(checkpoints),
            "fingerprint": "f",
            "raw_eval_files": str(folder / "raw/*"),
        },
    )


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_splits(folder / "examples")
    write_raw(folder / "raw")
    run_fn(arguments(folder, folder / "checkpoints", {"training.batch_size": 4}))
    return folder


def test_the_result_is_written_beside_the_logs(job):
    result = json.loads((job / "logs" / "training.json").read_text())
    assert (result["epochs"], result["steps"]) == (1, 4)  # 16 windows by the tuned batch size
    assert set(result["train"]) == {"retrieval", "like"}
    assert {"loss", "ndcg@3", "like/auc"} <= set(result["evaluation"])
    assert list((job / "logs" / "train").iterdir())
    assert json.loads((job / "logs" / "index.json").read_text())["kind"] == "exact"


def test_the_model_answers(job):
    signature = tf.saved_model.load(str(job / "model")).signatures["embed_candidate"]
    embedding = signature(item_id=tf.constant(["i0", "i1"]))["embedding"]
    np.testing.assert_allclose(np.linalg.norm(embedding[:, :-1], axis=1), 1, rtol=1e-5)


def test_checkpoints_are_gone(job):
    assert list((job / "checkpoints").iterdir()) == []


def test_a_killed_training_is_not_resumed_with_other_hyperparameters(job, tmp_path):
    for dimension, folders in ((8, 1), (4, 2)):
        told = RunArguments.of(arguments(job, tmp_path, {"model.dimension": dimension}))
        TrainingJob(told, tf.distribute.get_strategy()).train()  # killed before it could remove its checkpoints
        assert len(list(tmp_path.iterdir())) == folders


def test_every_signature_has_an_expected_answer_which_the_export_gives_too(job):
    signatures = tf.saved_model.load(str(job / "model")).signatures
    calls = {call.request.model_spec.signature_name: call for call in read_calls(str(job / "logs" / ANSWERS_FILE))}
    assert set(calls) == set(signatures)
    for name, call in calls.items():
        inputs = {key: tf.constant(tf.make_ndarray(value)) for key, value in call.request.inputs.items()}
        answer = {key: value.numpy() for key, value in signatures[name](**inputs).items()}
        expected = {key: tf.make_ndarray(value) for key, value in call.response.outputs.items()}
        assert list(differences(expected, answer)) == []


def test_expected_answers_are_about_real_rows_and_nobody(job):
    calls = {call.request.model_spec.signature_name: call for call in read_calls(str(job / "logs" / ANSWERS_FILE))}
    real, nobody = map(tf.train.Example.FromString, calls["recommend"].request.inputs["examples"].string_val)
    assert list(real.features.feature["item_id"].bytes_list.value) == [b"i3", b"i1"]
    assert nobody == tf.train.Example()
    tensors = calls["recommend_tensors"].request.inputs
    assert tf.make_ndarray(tensors["item_id"]).tolist() == [[b"i3", b"i1"], [b"", b""]]
    assert tf.make_ndarray(tensors["time"]).tolist() == [[1000, 2000], [0, 0]]
    assert tf.make_ndarray(tensors["request_time"]).tolist() == [3000, 0]
    assert tf.make_ndarray(calls["evaluate"].response.outputs["retrieval_weight"]).tolist() == [1, 0]
