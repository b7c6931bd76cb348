from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import prediction_log_pb2

from serving.errors import ServingError
from serving.servable import Servable
from serving.warmup import MAX_RECORDS, warm_up


class Graph:
    """One for every example or row; counts the runs."""

    def __init__(self) -> None:
        self.runs = 0

    def run(self, feeds: dict[str, np.ndarray], fetches: Sequence[str]) -> list[np.ndarray]:
        self.runs += 1
        rows = len(next(iter(feeds.values())))
        return [np.ones([rows, 1], np.float32) for _ in fetches]


def _servable(graph: Graph) -> Servable:
    meta_graph = meta_graph_pb2.MetaGraphDef()
    for name, output in (("serving_default", "outputs"), ("classify", "scores")):
        signature = meta_graph.signature_def[name]
        signature.inputs["inputs"].CopyFrom(meta_graph_pb2.TensorInfo(name="in:0", dtype=7))
        signature.outputs[output].CopyFrom(meta_graph_pb2.TensorInfo(name="out:0", dtype=1))
    return Servable("m", 1, meta_graph, graph.run)


def _write(path: Path, *records: bytes) -> str:
    (path / "assets.extra").mkdir()
    with tf.io.TFRecordWriter(str(path / "assets.extra" / "tf_serving_warmup_requests")) as writer:
        for record in records:
            writer.write(record)
    return str(path)


def _log(kind: str) -> Any:
    log = prediction_log_pb2.PredictionLog()
    getattr(log, kind).SetInParent()
    if kind in ("classify_log", "regress_log", "multi_inference_log"):
        getattr(log, kind).request.input.example_list.examples.add()
    if kind == "classify_log":
        log.classify_log.request.model_spec.signature_name = "classify"
    elif kind == "multi_inference_log":
        task = log.multi_inference_log.request.tasks.add(method_name="tensorflow/serving/regress")
        task.model_spec.name = "m"
    elif kind == "predict_log":
        log.predict_log.request.inputs["inputs"].CopyFrom(tf.make_tensor_proto(["x"]))
    return log


def test_no_file_is_no_request(tmp_path: Path) -> None:
    assert warm_up(_servable(Graph()), str(tmp_path)) == 0


def test_requests_of_every_kind_are_replayed_as_often_as_asked(tmp_path: Path) -> None:
    kinds = ("predict_log", "classify_log", "regress_log", "multi_inference_log")
    graph = Graph()
    path = _write(tmp_path, *(_log(kind).SerializeToString() for kind in kinds), b"")
    assert warm_up(_servable(graph), path, iterations=3) == 5
    assert graph.runs == 12


@pytest.mark.parametrize(
    ("records", "code", "message"),
    [
        ([b"\xff"], "INVALID_ARGUMENT", "Failed to parse warmup record"),
        ([_log("session_run_log").SerializeToString()], "UNIMPLEMENTED", "Unsupported log_type for warmup: 5"),
        ([b""] * (MAX_RECORDS + 1), "INVALID_ARGUMENT", r"exceeds the maximum \(1000\)"),
    ],
    ids=["no log", "another kind", "too many"],
)
def test_a_version_that_cannot_be_warmed_up(tmp_path: Path, records: list[bytes], code: str, message: str) -> None:
    with pytest.raises(ServingError, match=message) as raised:
        warm_up(_servable(Graph()), _write(tmp_path, *records))
    assert raised.value.code.name == code


def test_a_file_that_holds_no_records(tmp_path: Path) -> None:
    path = _write(tmp_path)
    (tmp_path / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"no records at all, whatever it is")
    with pytest.raises(ServingError, match="Please verify your warmup data is in TFRecord format") as raised:
        warm_up(_servable(Graph()), path)
    assert raised.value.code.name == "DATA_LOSS"
