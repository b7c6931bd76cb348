"""A plain tensorflow-serving-api client, and the command line, get recommendations from the pushed model."""

import re
import subprocess
import sys
from collections.abc import Iterator

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tests.e2e.conftest import ROOT, Passes


@pytest.fixture(scope="module")
def address(passes: Passes) -> Iterator[str]:
    command = [sys.executable, "-m", "serving.server", "--port=0", "--model_name=recommender"]
    server = subprocess.Popen(
        [*command, f"--model_base_path={passes.home.serving}"], cwd=ROOT, stdout=subprocess.PIPE, bufsize=0
    )
    assert server.stdout is not None
    for line in server.stdout:
        if found := re.search(rb"gRPC ModelServer at \S+:(\d+)", line):
            yield f"127.0.0.1:{int(found[1])}"
            break
    server.terminate()
    assert server.wait(timeout=30) == 0


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
    found = passes.home.command("recommend", "--user", "u3", "--k", "5", *arguments)
    assert found.code == 0, found.output
    assert len(set(re.findall(r"\bi\d+\b", found.output))) >= 5


def test_an_unreachable_server_is_one_clear_line(passes: Passes) -> None:
    arguments = ["--config", str(passes.home.config), "--address", "127.0.0.1:1"]
    found = passes.home.command("recommend", "--user", "u3", *arguments)
    assert found.code in (0, 1)
    assert "Traceback" not in found.output
