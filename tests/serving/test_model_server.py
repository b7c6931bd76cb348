"""Real server processes on real sockets, seen through the stock tensorflow-serving-api messages."""

import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving.client import RecommenderClient, Request
from serving.server.process import server_process
from tests.serving.models import RunningServer, eventually, save_model, serve


def _stub(server: RunningServer) -> Any:
    return prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(server.address))


def _request(signature: str = "", **inputs: Any) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "recommender"
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def _example(**features: Any) -> bytes:
    example = tf.train.Example()
    for name, values in features.items():
        example.features.feature[name].bytes_list.value.extend(v.encode() for v in values)
    return bytes(example.SerializeToString())


def _error(server: RunningServer, request: predict_pb2.PredictRequest) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as raised:
        _stub(server).Predict(request, timeout=20)
    return raised.value.code(), raised.value.details()


def test_stock_client_with_a_serialized_example(server: RunningServer) -> None:
    response = _stub(server).Predict(_request(examples=[_example(item_id=["a", "c"])]), timeout=20)
    assert tf.make_ndarray(response.outputs["item_id"]).tolist() == [[b"b", b"d", b"e"]]
    np.testing.assert_array_equal(tf.make_ndarray(response.outputs["score"]), [[5.0, 3.0, 2.0]])
    assert list(response.outputs["score"].float_val) == [5.0, 3.0, 2.0]
    assert response.model_spec.name == "recommender"
    assert response.model_spec.version.value == 7
    assert response.model_spec.signature_name == "serving_default"


def test_stock_client_with_plain_tensors(server: RunningServer) -> None:
    k = np.array([2, 1], np.int32)
    request = _request("recommend_tensors", user_id=["u", "v"], item_id=[["a", ""], ["b", "c"]], k=k)
    response = _stub(server).Predict(request, timeout=20)
    assert tf.make_ndarray(response.outputs["item_id"]).tolist() == [[b"b", b"c"], [b"a", b""]]
    assert tf.make_ndarray(response.outputs["count"]).tolist() == [2, 1]
    assert response.model_spec.signature_name == "recommend_tensors"


def test_output_filter_returns_only_what_it_names(server: RunningServer) -> None:
    request = _request(examples=[_example()])
    request.output_filter.extend(["score", "count"])
    assert set(_stub(server).Predict(request, timeout=20).outputs) == {"score", "count"}


def test_an_output_filter_that_names_no_output(server: RunningServer) -> None:
    request = _request(examples=[_example()])
    request.output_filter.append("nothing")
    code, details = _error(server, request)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert details.startswith("`output_filter` names no output: nothing. Outputs: count, item_id, ")


def test_missing_and_unknown_inputs_are_named(server: RunningServer) -> None:
    code, details = _error(server, _request(exmaples=[_example()]))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert details == "the inputs should be examples. Missing: examples. Unknown: exmaples"


@pytest.mark.parametrize("value", [np.array([1.0], np.float32), np.array([[b"x"]]), np.array([b"no example"])])
def test_wrong_tensors_are_invalid_arguments(server: RunningServer, value: np.ndarray) -> None:
    assert _error(server, _request(examples=value))[0] == grpc.StatusCode.INVALID_ARGUMENT


def test_a_tensor_whose_content_does_not_fit_its_shape(server: RunningServer) -> None:
    request = _request("recommend_tensors", user_id=["u"], item_id=[["a"]], k=np.array([1], np.int32))
    request.inputs["k"].tensor_shape.dim[0].size = 5
    request.inputs["k"].tensor_content = b"\0" * 7
    code, details = _error(server, request)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert details == "input 'k': `tensor_content` does not hold int32 of shape [5]"


@pytest.mark.parametrize(("size", "message"), [(2_000_000, "at most 262,144 elements"), (513, "at most 512 rows")])
def test_a_few_bytes_that_ask_for_many_rows_are_refused(server: RunningServer, size: int, message: str) -> None:
    request = _request(examples=[_example()])
    request.inputs["examples"].tensor_shape.dim[0].size = size
    assert request.ByteSize() < 80
    code, details = _error(server, request)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert message in details


def test_unknown_model_version_label_and_signature(server: RunningServer) -> None:
    request = _request(examples=[_example()])
    request.model_spec.name = "other"
    assert _error(server, request) == (grpc.StatusCode.NOT_FOUND, "no model 'other' is served")
    request = _request(examples=[_example()])
    request.model_spec.version.value = 8
    specific = "version 8 of model 'recommender' is not loaded"
    assert _error(server, request) == (grpc.StatusCode.NOT_FOUND, specific)
    request.model_spec.version_label = "stable"
    label = "model 'recommender' has no version labelled 'stable'"
    assert _error(server, request) == (grpc.StatusCode.INVALID_ARGUMENT, label)
    code, details = _error(server, _request("no_such", examples=[_example()]))
    assert code == grpc.StatusCode.FAILED_PRECONDITION
    assert details.startswith("no signature 'no_such'. The model has: embed_candidate, ")


def test_a_missing_model_name(server: RunningServer) -> None:
    missing = (grpc.StatusCode.INVALID_ARGUMENT, "`model_spec.name` is missing")
    assert _error(server, predict_pb2.PredictRequest()) == missing


def test_bytes_that_are_no_request_and_methods_that_are_none(server: RunningServer) -> None:
    channel = grpc.insecure_channel(server.address)
    for method, code in (("Predict", grpc.StatusCode.INVALID_ARGUMENT), ("Classify", grpc.StatusCode.UNIMPLEMENTED)):
        call = channel.unary_unary(f"/tensorflow.serving.PredictionService/{method}").future(b"no message", timeout=20)
        assert call.code() == code


def test_metadata_holds_the_signatures(server: RunningServer) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "recommender"
    response = _stub(server).GetModelMetadata(request, timeout=20)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert set(signatures.signature_def["serving_default"].inputs) == {"examples"}
    assert response.model_spec.version.value == 7
    request.metadata_field[0] = "weights"
    with pytest.raises(grpc.RpcError) as raised:
        _stub(server).GetModelMetadata(request, timeout=20)
    assert raised.value.details() == "`metadata_field` should be ['signature_def']. Received: ['weights']"


def test_status_of_unknown_models_and_versions(server: RunningServer) -> None:
    stub = model_service_pb2_grpc.ModelServiceStub(grpc.insecure_channel(server.address))
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "recommender"
    request.model_spec.version.value = 7
    (status,) = stub.GetModelStatus(request, timeout=20).model_version_status
    assert (status.version, status.state, status.status.error_code) == (7, 30, 0)
    request.model_spec.version.value = 9
    with pytest.raises(grpc.RpcError) as raised:
        stub.GetModelStatus(request, timeout=20)
    assert raised.value.details() == "model 'recommender' has no such version"


def test_health(server: RunningServer) -> None:
    stub = health_pb2_grpc.HealthStub(grpc.insecure_channel(server.address))
    for service in ("", "tensorflow.serving.PredictionService"):
        response = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=20)
        assert response.status == health_pb2.HealthCheckResponse.SERVING


def _like(client: RecommenderClient) -> float:
    return round(client.recommend(Request(k=1))[0].scores["like"], 3)


def _states(client: RecommenderClient) -> dict[int, str]:
    return {status.version: status.state for status in client.status()}


def test_versions_come_break_and_go_while_it_serves(base_path: Path) -> None:
    save_model(base_path / "1", offset=1.0)
    with serve(base_path) as server, RecommenderClient(server.address, timeout=20.0) as client:
        assert _like(client) == pytest.approx(1.6)
        save_model(base_path / "2", offset=2.0)
        eventually(lambda: _states(client) == {2: "AVAILABLE", 1: "END"})
        assert _like(client) == pytest.approx(2.6)
        (base_path / "3").mkdir()
        (base_path / "3" / "saved_model.pb").write_bytes(b"\x08\x01 not a model")
        (base_path / "notes").mkdir()
        eventually(lambda: _states(client).get(3) == "END")
        broken = client.status()[0]
        assert (broken.version, _states(client)[2]) == (3, "AVAILABLE")
        assert "3 is not a whole SavedModel" in broken.error
        assert _like(client) == pytest.approx(2.6)
        save_model(base_path / "10", offset=10.0)
        eventually(lambda: _states(client).get(10) == "AVAILABLE" and _states(client)[2] == "END")
        assert _like(client) == pytest.approx(10.6)
        shutil.rmtree(base_path / "10")
        shutil.rmtree(base_path / "3")
        eventually(lambda: _states(client) == {10: "END", 3: "END", 2: "AVAILABLE", 1: "END"})
        assert _like(client) == pytest.approx(2.6)
        shutil.rmtree(base_path / "2")
        shutil.rmtree(base_path / "1")
        assert _like(client) == pytest.approx(2.6)


def test_sigterm_behind_the_first_line_ends_the_server(base_path: Path, tmp_path: Path) -> None:
    save_model(base_path / "1")
    with (tmp_path / "log").open("w") as log, server_process([f"--model_base_path={base_path}"], log) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"Running")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=8) == 0


def test_sigterm_under_load_loses_no_accepted_request_and_a_restart_is_found_again(base_path: Path) -> None:
    save_model(base_path / "1")
    with serve(base_path) as server, RecommenderClient(server.address, timeout=60.0, wait_for_ready=True) as client:
        client.recommend(Request())
        callers = ThreadPoolExecutor(4)
        try:
            answers = [callers.submit(client.recommend, Request(k=2)) for _ in range(400)]
            eventually(lambda: sum(a.done() for a in answers) > 100)
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(timeout=20) == 0
            assert "Stopping" in server.log.read_text()
            with serve(base_path, f"--port={server.port}"):
                assert {len(a.result(timeout=60)) for a in answers} == {2}
        finally:
            callers.shutdown(cancel_futures=True)  # a failure above is not to wait for every call's deadline
