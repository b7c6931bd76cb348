"""A plain tensorflow-serving-api client, and the command line, get recommendations from the pushed model."""

import os
import re
from collections.abc import Iterator

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from serving.client import hashed
from serving.server.process import free_port
from tests.e2e.conftest import KEY, RAW_USER, Passes
from tests.serving.fuzz import fuzz, peak_megabytes, unexpected
from tests.serving.models import RunningServer, serve


@pytest.fixture(scope="module")
def server(passes: Passes) -> Iterator[tuple[RunningServer, str]]:
    """A server on the pushed model, and where its REST API is."""
    port = free_port()
    with serve(passes.home.serving, f"--rest_api_port={port}") as running:
        yield running, f"127.0.0.1:{port}"
        running.process.terminate()
        assert running.process.wait(timeout=30) == 0


@pytest.fixture(scope="module")
def address(server: tuple[RunningServer, str]) -> str:
    return server[0].address


def test_a_client_of_twenty_lines_asks_with_an_example_and_with_tensors(address: str) -> None:
    stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(address))
    example = tf.train.Example()
    example.features.feature["user_id"].bytes_list.value.append(b"u7")
    example.features.feature["item_id"].bytes_list.value.extend([b"i2", b"i7", b"i12"])
    example.features.feature["k"].int64_list.value.append(5)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "recommender"
    request.inputs["examples"].CopyFrom(tf.make_tensor_proto([example.SerializeToString()]))
    answer = stub.Predict(request, timeout=30, wait_for_ready=True)
    by_example = tf.make_ndarray(answer.outputs["item_id"])[0].tolist()

    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "recommender", "recommend_tensors"
    inputs = {
        "user_id": tf.constant([b"u7"]),
        "item_id": tf.constant([[b"i2", b"i7", b"i12"]]),
        "time": tf.zeros([1, 3], tf.int64),
        "request_time": tf.zeros([1], tf.int64),
        "exclude_item_id": tf.constant([[b"i17"]]),
        "k": tf.constant([5], tf.int32),
    }
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    by_tensors = tf.make_ndarray(stub.Predict(request, timeout=30).outputs["item_id"])[0].tolist()

    for items in (by_example, by_tensors):
        assert len(set(items)) == 5
        assert not {b"i2", b"i7", b"i12"} & set(items)
    assert b"i17" not in by_tensors


def test_the_command_line_recommends(passes: Passes, address: str) -> None:
    arguments = ["--config", str(passes.home.config), "--address", address]
    found = passes.home.command("recommend", "--user", f"{RAW_USER}3", "--k", "5", *arguments)
    assert found.code == 0, found.output
    assert hashed(f"{RAW_USER}3", KEY.encode()) in found.output
    assert RAW_USER not in found.output
    assert len(set(re.findall(r"\bi\d+\b", found.output))) >= 5


def test_an_unreachable_server_is_one_clear_line(passes: Passes) -> None:
    arguments = ["--config", str(passes.home.config), "--address", "127.0.0.1:1"]
    found = passes.home.command("recommend", "--user", "u3", *arguments)
    assert found.code in (0, 1)
    assert "Traceback" not in found.output


def test_malformed_requests_to_an_exported_model(server: tuple[RunningServer, str]) -> None:
    """`FUZZ_REQUESTS=5000` sends as many. What a call may take is bounded: rows, elements, history, candidates."""
    running, rest_address = server
    before = peak_megabytes(running.process.pid)
    codes = fuzz(running.address, rest_address, "recommender", int(os.environ.get("FUZZ_REQUESTS", "200")), seed=2)
    assert not unexpected(codes), codes
    assert {"INVALID_ARGUMENT", "REST 400"} <= set(codes), codes
    assert running.process.poll() is None
    assert peak_megabytes(running.process.pid) - before < 1500
    assert "Traceback" not in running.log.read_text()
