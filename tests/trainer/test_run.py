import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from config import dump_config
from pipeline.infra.replay import differences
from tests.trainer.served import history, serialized, shop, transform_graph
from tests.trainer.small import encoder_config, write_rows
from trainer.arguments import RunArguments
from trainer.export.prediction_log import GOLDEN_RESPONSES_FILE, read_prediction_log
from trainer.run import TrainingJob, checkpoint_folder, run_fn
from trainer.training.kept_state import KeptState

TUNED = {"training.batch_size": 4}
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


def arguments(folder, checkpoints, tuned, code="f", **like):
    """TFX's arguments of a training on the data and the graph in the folder, with the Tuner's values."""
    config = shop(
        tasks={"retrieval": {"kind": "retrieval"}, "like": {"kind": "binary", "label": "rating >= 4", **like}},
        model=encoder_config("decay").model.model_dump(),
        serving={},
        training={"epochs": 1, "batch_size": 8, "fit_on": ["train", "eval"], "warm_start": {}},
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
        base_model=None,
        custom_config={
            "config": dump_config(config),
            "checkpoint_folder": str(checkpoints),
            "fingerprint": code,
            "raw_eval_files": str(folder / "raw/*"),
        },
    )


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A run whose export failed, and which then went on with other code and another key of what follows the epochs."""
    folder = tmp_path_factory.mktemp("run")
    write_splits(folder / "examples")
    write_raw(folder / "raw")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.run.export_model", fail)
        with pytest.raises(OSError, match="no space left"):
            run_fn(arguments(folder, folder / "checkpoints", TUNED))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.training.loop.TrainingLoop._epoch", fail)
        run_fn(arguments(folder, folder / "checkpoints", TUNED, code="g", baseline={"weights": {"bias": 1.0}}))
    return folder


def fail(*arguments, **named):
    raise OSError("no space left")


def test_the_result_is_written_beside_the_logs(job):
    result = json.loads((job / "logs" / "training.json").read_text())
    assert (result["epochs"], result["steps"]) == (1, 4)  # 16 windows by the tuned batch size
    assert set(result["train"]) == {"retrieval", "like"}
    assert {"loss", "ndcg@3", "like/auc"} <= set(result["evaluation"])
    assert result["weights"] == {"like": {"bias": 1.0}}
    assert list((job / "logs" / "train").iterdir())
    assert json.loads((job / "logs" / "index.json").read_text())["kind"] == "exact"


def test_the_model_answers(job):
    signature = tf.saved_model.load(str(job / "model")).signatures["embed_candidate"]
    embedding = signature(item_id=tf.constant(["i0", "i1"]))["embedding"]
    np.testing.assert_allclose(np.linalg.norm(embedding[:, :-1], axis=1), 1, rtol=1e-5)


def test_checkpoints_are_gone(job):
    assert list((job / "checkpoints").iterdir()) == []


def test_a_run_that_failed_after_its_epochs_gives_the_same_result(job, tmp_path):
    training = TrainingJob(RunArguments.of(arguments(job, tmp_path, TUNED)), tf.distribute.get_strategy())
    expected, result = training.train(), json.loads((job / "logs" / "training.json").read_text())
    assert result["train"] == pytest.approx(expected.train, rel=1e-5)
    assert result["evaluation"]["retrieval_loss"] == pytest.approx(expected.evaluation["retrieval_loss"], rel=1e-5)
    signature = tf.saved_model.load(str(job / "model")).signatures["embed_candidate"]
    ids = [f"i{n}" for n in range(8)]
    vectors = {tuple(np.round(vector, 4)) for vector in signature(item_id=tf.constant(ids))["embedding"].numpy()}
    assert vectors == {
        tuple(np.round(vector, 4)) for vector in training.exportable_model().candidate_embeddings().numpy()
    }


def test_a_training_starts_from_the_weights_and_slots_that_another_kept(job, tmp_path):
    state, ids = KeptState(str(job)), "candidates.ids.embeddings"
    exported = tf.saved_model.load(str(job / "model")).signatures["embed_candidate"]
    assert state.slot("v", ids).any(), "also where a run that failed after its epochs went on"
    based = arguments(job, tmp_path, TUNED)
    based.base_model, based.serving_model_dir = str(job / "model"), str(tmp_path / "model")
    training = TrainingJob(RunArguments.of(based), tf.distribute.get_strategy())
    model = training.exportable_model()
    np.testing.assert_array_equal(model.candidates.ids.embeddings, state.weight(ids))
    item_ids = np.array([bytes(item) for item in state.rows(ids).keys[:8]])
    vectors = exported(item_id=tf.constant(item_ids))["embedding"].numpy()
    np.testing.assert_allclose(model.candidate_embeddings(), vectors, rtol=1e-5, atol=1e-6)
    training.train()
    training.keep_state()
    assert KeptState(str(tmp_path)).iterations == state.iterations + 4


def test_changed_keys_of_the_epochs_change_the_checkpoint_folder(job, tmp_path):
    def folder(tuned, **like):
        read = RunArguments.of(arguments(job, tmp_path, tuned, **like))
        return checkpoint_folder(read, ["train.gz"])

    one = folder({})
    assert folder({}, baseline=None) == folder({}, code="g") == folder({"model.neighbours": None}) == one
    others = [folder({"model.dimension": 4}), folder({}, weight=2.0), folder({"training.seed": 1})]
    based = dataclasses.replace(RunArguments.of(arguments(job, tmp_path, {})), base_model="models/3/Format-Serving")
    assert len({one, *others, checkpoint_folder(based, ["train.gz"])}) == 5


def test_every_signature_has_a_golden_response_that_the_export_reproduces(job):
    signatures = tf.saved_model.load(str(job / "model")).signatures
    log = {
        call.request.model_spec.signature_name: call
        for call in read_prediction_log(str(job / "logs" / GOLDEN_RESPONSES_FILE))
    }
    assert set(log) == set(signatures)
    for name, call in log.items():
        inputs = {key: tf.constant(tf.make_ndarray(value)) for key, value in call.request.inputs.items()}
        answer = {key: value.numpy() for key, value in signatures[name](**inputs).items()}
        expected = {key: tf.make_ndarray(value) for key, value in call.response.outputs.items()}
        assert list(differences(expected, answer)) == []


def test_golden_responses_are_of_real_and_of_empty_requests(job):
    log = {
        call.request.model_spec.signature_name: call
        for call in read_prediction_log(str(job / "logs" / GOLDEN_RESPONSES_FILE))
    }
    real, empty = map(tf.train.Example.FromString, log["recommend"].request.inputs["examples"].string_val)
    assert list(real.features.feature["item_id"].bytes_list.value) == [b"i3", b"i1"]
    assert empty == tf.train.Example()
    tensors = log["recommend_tensors"].request.inputs
    assert tf.make_ndarray(tensors["item_id"]).tolist() == [[b"i3", b"i1"], [b"", b""]]
    assert tf.make_ndarray(tensors["time"]).tolist() == [[1000, 2000], [0, 0]]
    assert tf.make_ndarray(tensors["request_time"]).tolist() == [3000, 0]
    assert tf.make_ndarray(log["evaluate"].response.outputs["retrieval_weight"]).tolist() == [1, 0]
