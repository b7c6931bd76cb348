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
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2, prediction_service_pb2_grpc

from serving.client import RecommenderClient, Request
from serving.server.process import server_process
from tests.serving.models import RunningServer, eventually, save_model, serve

K = np.array([2, 1], np.int32)


def _stub(server: RunningServer) -> Any:
    return prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(server.address))


def _request(signature: str = "", rows: int | None = None, **inputs: Any) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "recommender"
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        if rows is not None:
            request.inputs[name].tensor_shape.dim[0].size = rows
    return request


def test_the_stock_client_is_answered(server: RunningServer) -> None:
    request = _request("recommend_tensors", user_id=["u", "v"], item_id=[["a", ""], ["b", "c"]], k=K)
    response = _stub(server).Predict(request, timeout=20)
    assert tf.make_ndarray(response.outputs["item_id"]).tolist() == [[b"b", b"c"], [b"a", b""]]
    assert list(response.outputs["score"].float_val) == [5.0, 4.0, 6.0, 0.0]
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("recommender", 7, "recommend_tensors")


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (_request(rows=2_000_000, examples=[b""]), "input 'examples': at most 262,144 elements are served"),
        (_request(rows=513, examples=[b""]), "input 'examples': at most 512 rows are served (--max_rows)"),
        (_request(exmaples=[b""]), "the inputs should be examples. Missing: examples. Unknown: exmaples"),
        (_request(examples=np.array([1.0], np.float32)), "input 'examples': should be string. Received: float"),
        (_request(examples=[[b"x"]]), ""),
        (_request(examples=[b"not an example"]), "Could not parse example input"),
    ],
)
def test_callers_faults_are_invalid_arguments(
    server: RunningServer, request_: predict_pb2.PredictRequest, message: str
) -> None:
    assert request_.ByteSize() < 100
    with pytest.raises(grpc.RpcError) as raised:
        _stub(server).Predict(request_, timeout=20)
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert message in raised.value.details()


def test_bytes_that_are_not_a_request_and_unknown_methods(server: RunningServer) -> None:
    channel = grpc.insecure_channel(server.address)
    for method, code in (("Predict", grpc.StatusCode.INVALID_ARGUMENT), ("Classify", grpc.StatusCode.UNIMPLEMENTED)):
        call = channel.unary_unary(f"/tensorflow.serving.PredictionService/{method}").future(b"no message", timeout=20)
        assert call.code() == code


def test_metadata_has_the_signatures_alone(server: RunningServer) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["weights"])
    request.model_spec.name = "recommender"
    with pytest.raises(grpc.RpcError) as raised:
        _stub(server).GetModelMetadata(request, timeout=20)
    assert raised.value.details() == "`metadata_field` should be ['signature_def']. Received: ['weights']"


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
        assert process.wait(timeout=60) == 0


def test_sigterm_under_load_loses_no_accepted_request_and_a_restart_is_found_again(base_path: Path) -> None:
    save_model(base_path / "1")
    with serve(base_path) as server, RecommenderClient(server.address, timeout=240.0, wait_for_ready=True) as client:
        client.recommend(Request())
        callers = ThreadPoolExecutor(4)
        try:
            answers = [callers.submit(client.recommend, Request(k=2)) for _ in range(400)]
            eventually(lambda: sum(a.done() for a in answers) > 100)
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(timeout=60) == 0
            assert "Stopping" in server.log.read_text()
            with serve(base_path, f"--port={server.port}"):
                assert {len(a.result(timeout=240)) for a in answers} == {2}
        finally:
            callers.shutdown(cancel_futures=True)  # a failure above is not to wait for every call's deadline
