"""TensorFlow Serving's contract, codes and values, checked on any server.

    pytest tests/serving/conformance                                          # the embedded server
    pytest tests/serving/conformance --server-binary=/usr/bin/tensorflow_model_server
    pytest tests/serving/conformance --server-address=HOST:8500 --rest-address=HOST:8501 --models-root=FOLDER

Texts of errors are each server's own.
"""

import math
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from tests.serving.conformance.conftest import TIMEOUT, Server

X = np.array([1.0, 2.0], np.float32)
HALF, SIGNATURES = "/v1/models/half_plus_two", "/v1/models/signatures:predict"


def request(model: str, signature: str = "", **inputs: Any) -> predict_pb2.PredictRequest:
    made = predict_pb2.PredictRequest()
    made.model_spec.name = model
    made.model_spec.signature_name = signature
    for name, value in inputs.items():
        made.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return made


def changed(change: Callable[[Any], Any], model: str = "half_plus_two", **inputs: Any) -> predict_pb2.PredictRequest:
    made = request(model, **(inputs or {"x": X}))
    change(made)
    return made


def ask(server: Server, message: predict_pb2.PredictRequest) -> dict[str, Any]:
    response = server.predictions.Predict(message, timeout=TIMEOUT)
    return {name: tf.make_ndarray(proto).tolist() for name, proto in response.outputs.items()}


def test_the_newest_version_and_the_default_signature_answer(server: Server) -> None:
    response = server.predictions.Predict(request("half_plus_two", x=X), timeout=TIMEOUT)
    assert list(response.outputs["y"].float_val) == [2.5, 3.0]
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("half_plus_two", 2, "serving_default")


def test_a_version_and_a_label(server: Server) -> None:
    def version(message: Any) -> None:
        message.model_spec.version.value = 1

    def label(message: Any) -> None:
        message.model_spec.version_label = "stable"

    for change in (version, label):
        assert ask(server, changed(change)) == {"y": [1.5, 2.0]}


def test_types_shapes_and_strings(server: Server) -> None:
    inputs = {"a": np.array([1, 1 << 40], np.int64), "b": np.array([0.5, 0.25], np.float32)}
    answer = ask(server, request("signatures", "two_inputs", **inputs))
    assert answer["a"] == [1, 1 << 40]
    assert answer["sum"] == [1.5, pytest.approx(2.0**40, rel=1e-6)]
    message = request("signatures", "strings", text=["é", ""], raw=[b"\xff\x00", b"x"])
    assert ask(server, message) == {"text": ["é".encode(), b""], "raw_bytes": [b"\xff\x00", b"x"]}
    matrix = np.array([[1, 2], [3, 4]], np.float32)
    assert ask(server, request("signatures", "matrix", m=matrix)) == {"m": [[2, 4], [6, 8]]}
    assert ask(server, request("half_plus_two", x=np.zeros([0], np.float32))) == {"y": []}


def test_values_in_tensor_content_and_values_that_are_repeated(server: Server) -> None:
    def content(message: Any) -> None:
        message.inputs["x"].ClearField("float_val")
        message.inputs["x"].tensor_content = X.tobytes()

    def one(message: Any) -> None:
        message.inputs["x"].ClearField("tensor_content")
        message.inputs["x"].float_val[:] = [4.0]

    assert ask(server, changed(content)) == {"y": [2.5, 3.0]}
    assert ask(server, changed(one)) == {"y": [4.0, 4.0]}


def test_the_output_filter(server: Server) -> None:
    message = request("signatures", "uneven", x=X)
    message.output_filter.append("once")
    assert ask(server, message) == {"once": [1.0, 2.0]}


def _set(**fields: Any) -> Callable[[Any], None]:
    def change(message: Any) -> None:
        for name, value in fields.items():
            if name == "version":
                message.model_spec.version.value = value
            elif name in ("version_label", "signature_name"):
                setattr(message.model_spec, name, value)
            else:
                setattr(message.inputs["x"], name, value)

    return change


def _filter(message: Any) -> None:
    message.output_filter.append("nothing")


REFUSALS = {
    "no model": (predict_pb2.PredictRequest(), "INVALID_ARGUMENT"),
    "unknown model": (request("none", x=X), "NOT_FOUND"),
    "unknown version": (changed(_set(version=9)), "NOT_FOUND"),
    "unknown label": (changed(_set(version_label="none")), "INVALID_ARGUMENT"),
    "unknown signature": (changed(_set(signature_name="none")), "FAILED_PRECONDITION"),
    "missing input": (request("signatures", "two_inputs", a=np.array([1])), "INVALID_ARGUMENT"),
    "unknown input": (request("half_plus_two", z=X), "INVALID_ARGUMENT"),
    "one input too many": (request("half_plus_two", x=X, z=X), "INVALID_ARGUMENT"),
    "unknown output": (changed(_filter), "INVALID_ARGUMENT"),
    "wrong dtype": (request("half_plus_two", x=np.array([1])), "INVALID_ARGUMENT"),
    "no dtype": (changed(_set(dtype=0)), "INVALID_ARGUMENT"),
    "content that does not fit": (changed(_set(tensor_content=b"123")), "INVALID_ARGUMENT"),
    "an assertion of the graph": (request("signatures", "positive", x=-X), "INVALID_ARGUMENT"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refused_with_the_code(server: Server, case: str) -> None:
    message, code = REFUSALS[case]
    with pytest.raises(grpc.RpcError) as raised:
        server.predictions.Predict(message, timeout=TIMEOUT)
    assert raised.value.code().name == code


def test_metadata(server: Server) -> None:
    message = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    message.model_spec.name = "signatures"
    response = server.predictions.GetModelMetadata(message, timeout=TIMEOUT)
    found = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(found)
    default = found.signature_def["serving_default"]
    assert default.inputs["x"].dtype == tf.float32.as_datatype_enum
    assert [dim.size for dim in default.inputs["x"].tensor_shape.dim] == [-1]
    assert default.method_name == "tensorflow/serving/predict"
    assert (response.model_spec.name, response.model_spec.version.value) == ("signatures", 1)


def test_status(server: Server) -> None:
    message = get_model_status_pb2.GetModelStatusRequest()
    message.model_spec.name = "half_plus_two"
    found = server.models.GetModelStatus(message, timeout=TIMEOUT).model_version_status
    assert [(s.version, s.state, s.status.error_code) for s in found] == [(2, 30, 0), (1, 30, 0)]
    message.model_spec.version.value = 1
    found = server.models.GetModelStatus(message, timeout=TIMEOUT).model_version_status
    assert [s.version for s in found] == [1]
    message.model_spec.version.value = 9
    with pytest.raises(grpc.RpcError) as raised:
        server.models.GetModelStatus(message, timeout=TIMEOUT)
    assert raised.value.code().name == "NOT_FOUND"


TWO = {"signature_name": "two_inputs"}
STRINGS = {"signature_name": "strings"}
ANSWERS = {
    "rows": (f"{HALF}:predict", {"instances": [1, 2.0]}, {"predictions": [2.5, 3.0]}),
    "columns": (f"{HALF}:predict", {"inputs": [1, 2]}, {"outputs": [2.5, 3.0]}),
    "a version": (f"{HALF}/versions/1:predict", {"instances": [1.0]}, {"predictions": [1.5]}),
    "a label": (f"{HALF}/labels/stable:predict", {"instances": [1.0]}, {"predictions": [1.5]}),
    "rows by name": (
        SIGNATURES,
        {**TWO, "instances": [{"a": 1, "b": 0.5}, {"b": 2, "a": 3}]},
        {"predictions": [{"a": 1, "sum": 1.5}, {"a": 3, "sum": 5.0}]},
    ),
    "columns by name": (SIGNATURES, {**TWO, "inputs": {"a": [1], "b": [0.5]}}, {"outputs": {"a": [1], "sum": [1.5]}}),
    "one input by name": (SIGNATURES, {"instances": [{"x": 1.0}]}, {"predictions": [2.5]}),
    "a matrix": (SIGNATURES, {"signature_name": "matrix", "instances": [[1, 2]]}, {"predictions": [[2, 4]]}),
    "base64": (
        SIGNATURES,
        {**STRINGS, "instances": [{"text": 'é"\n', "raw": {"b64": "/wA="}}]},
        {"predictions": [{"text": 'é"\n', "raw_bytes": {"b64": "/wA="}}]},
    ),
    "outputs of unequal lengths, by column": (
        SIGNATURES,
        {"signature_name": "uneven", "inputs": [1.0]},
        {"outputs": {"once": [1.0], "twice": [1.0, 1.0]}},
    ),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_rest_answers(server: Server, case: str) -> None:
    path, body, expected = ANSWERS[case]
    assert server.rest(path, body) == (200, expected)


def test_rest_numbers_that_json_has_not(server: Server) -> None:
    _, answer = server.rest(f"{HALF}:predict", b'{"instances": [NaN, Infinity]}')
    assert math.isnan(answer["predictions"][0])
    assert answer["predictions"][1] == math.inf


REST_REFUSALS = {
    "no JSON": (f"{HALF}:predict", b"{", 400),
    "no object": (f"{HALF}:predict", b"[1]", 400),
    "no inputs": (f"{HALF}:predict", {}, 400),
    "both forms": (f"{HALF}:predict", {"instances": [1], "inputs": [1]}, 400),
    "no rows": (f"{HALF}:predict", {"instances": []}, 400),
    "a ragged tensor": (SIGNATURES, {"signature_name": "matrix", "instances": [[1], [1, 2]]}, 400),
    "a text for a number": (f"{HALF}:predict", {"instances": ["one"]}, 400),
    "an unknown input": (SIGNATURES, {**TWO, "instances": [{"a": 1, "z": 1}]}, 400),
    "an unknown signature": (SIGNATURES, {"signature_name": "none", "instances": [1]}, 400),
    "broken base64": (SIGNATURES, {**STRINGS, "instances": [{"text": "", "raw": {"b64": "!"}}]}, 400),
    "rows of unequal outputs": (SIGNATURES, {"signature_name": "uneven", "instances": [1.0]}, 400),
    "an assertion of the graph": (SIGNATURES, {"signature_name": "positive", "instances": [-1.0]}, 400),
    "an unknown model": ("/v1/models/none:predict", {"instances": [1]}, 404),
    "an unknown version": (f"{HALF}/versions/9:predict", {"instances": [1]}, 404),
    "a path that is none": ("/nowhere", None, 404),
    "the status of an unknown model": ("/v1/models/none", None, 404),
}


@pytest.mark.parametrize("case", REST_REFUSALS)
def test_rest_refuses_with_the_status(server: Server, case: str) -> None:
    path, body, status = REST_REFUSALS[case]
    found, answer = server.rest(path, body)
    assert (found, list(answer)) == (status, ["error"])


def test_rest_status_and_metadata(server: Server) -> None:
    version = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    expected = {"model_version_status": [{"version": "2", **version}, {"version": "1", **version}]}
    assert server.rest(HALF) == (200, expected)
    assert server.rest(f"{HALF}/versions/1") == (200, {"model_version_status": expected["model_version_status"][1:]})
    _, answer = server.rest("/v1/models/signatures/metadata")
    assert answer["model_spec"] == {"name": "signatures", "signature_name": "", "version": "1"}
    signature = answer["metadata"]["signature_def"]["signature_def"]["two_inputs"]
    shape = {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
    assert signature["inputs"]["a"]["dtype"] == "DT_INT64"
    assert signature["inputs"]["a"]["tensor_shape"] == shape
