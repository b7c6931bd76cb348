"""The server under test: the embedded one, another binary with TensorFlow Serving's flags, or one somewhere else."""

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from serving.server.process import free_port

TIMEOUT = 30.0
OPTIONS = {
    "--server-binary": "a binary that takes TensorFlow Serving's flags",
    "--server-address": "host:port of a running server's gRPC API, which serves the models under --models-root",
    "--rest-address": "host:port of that server's REST API",
    "--models-root": "folder to write the models and their config file `models.config` to",
}
VECTOR = tf.TensorSpec([None], tf.float32, name="x")
Tensors = dict[str, tf.Tensor]


def pytest_addoption(parser: pytest.Parser) -> None:
    for name, text in OPTIONS.items():
        parser.addoption(name, help=text)


class HalfPlusTwo(tf.Module):
    """y = x / 2 + `two`."""

    def __init__(self, two: float) -> None:
        super().__init__()
        self.two = tf.Variable(two)

    @tf.function(input_signature=[VECTOR])
    def serving_default(self, x: tf.Tensor) -> Tensors:
        return {"y": x / 2 + self.two}


class Signatures(HalfPlusTwo):
    """Each method is a signature of its name."""

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.int64, name="a"), tf.TensorSpec([None], tf.float32, name="b")]
    )
    def two_inputs(self, a: tf.Tensor, b: tf.Tensor) -> Tensors:
        return {"a": tf.identity(a), "sum": tf.cast(a, tf.float32) + b}

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.string, name="text"), tf.TensorSpec([None], tf.string, name="raw")]
    )
    def strings(self, text: tf.Tensor, raw: tf.Tensor) -> Tensors:
        return {"text": tf.identity(text), "raw_bytes": tf.identity(raw)}

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, name="m")])
    def matrix(self, m: tf.Tensor) -> Tensors:
        return {"m": 2 * m}

    @tf.function(input_signature=[VECTOR])
    def uneven(self, x: tf.Tensor) -> Tensors:
        return {"once": tf.identity(x), "twice": tf.concat([x, x], 0)}

    @tf.function(input_signature=[VECTOR])
    def positive(self, x: tf.Tensor) -> Tensors:
        with tf.control_dependencies([tf.debugging.assert_positive(x, "x is not positive")]):
            return {"y": tf.identity(x)}


def save_models(root: Path) -> None:
    """Writes `half_plus_two` with versions 1 and 2, `signatures` with version 1, and `models.config`."""
    for version in (1, 2):
        model = HalfPlusTwo(float(version))
        tf.saved_model.save(
            model, str(root / "half_plus_two" / str(version)), {"serving_default": model.serving_default}
        )
    model = Signatures(2.0)
    names = ("serving_default", "two_inputs", "strings", "matrix", "uneven", "positive")
    signatures = {name: getattr(model, name) for name in names}
    tf.saved_model.save(model, str(root / "signatures" / "1"), signatures)
    half = 'model_version_policy { specific { versions: 1 versions: 2 } } version_labels { key: "stable" value: 1 }'
    models = (("half_plus_two", half), ("signatures", ""))
    configs = (
        f'config {{ name: "{name}" base_path: "{root / name}" model_platform: "tensorflow" {policy} }}'
        for name, policy in models
    )
    (root / "models.config").write_text(f"model_config_list {{ {' '.join(configs)} }}")


@dataclass(frozen=True)
class Server:
    """The doors of the server under test."""

    channel: grpc.Channel
    rest_address: str

    @property
    def predictions(self) -> Any:
        return prediction_service_pb2_grpc.PredictionServiceStub(self.channel)

    @property
    def models(self) -> Any:
        return model_service_pb2_grpc.ModelServiceStub(self.channel)

    def rest(self, path: str, body: Any = None) -> tuple[int, Any]:
        """The status and the JSON of a GET or, with a body, a POST."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        try:
            with urlopen(Request(f"http://{self.rest_address}{path}", data), timeout=TIMEOUT) as response:
                return response.status, json.load(response)
        except HTTPError as error:
            return error.code, json.load(error)


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    given = {name: request.config.getoption(name, None) for name in OPTIONS}
    root = Path(given["--models-root"] or tmp_path_factory.mktemp("conformance")).absolute()
    save_models(root)
    process = None
    address, rest = given["--server-address"], given["--rest-address"]
    if not address:
        ports = free_port(), free_port()
        address, rest = (f"localhost:{port}" for port in ports)
        flags = [f"--model_config_file={root}/models.config", f"--port={ports[0]}", f"--rest_api_port={ports[1]}"]
        binary = shlex.split(given["--server-binary"] or f"{sys.executable} -m serving.server")
        if given["--server-binary"]:
            flags.append("--allow_version_labels_for_unavailable_models=true")
        process = subprocess.Popen([*binary, *flags], stderr=subprocess.DEVNULL)
    with grpc.insecure_channel(address) as channel:
        found = Server(channel, rest)
        try:
            _wait(found)
            yield found
        finally:
            if process is not None:
                process.kill()
                process.wait()


def _wait(server: Server) -> None:
    grpc.channel_ready_future(server.channel).result(180)
    end = time.monotonic() + 180
    while True:
        answers = [server.rest(f"/v1/models/{name}") for name in ("half_plus_two", "signatures")]
        states = [version["state"] for _, answer in answers for version in answer.get("model_version_status", [])]
        if states == ["AVAILABLE"] * 3:
            return
        assert time.monotonic() < end, answers
        time.sleep(0.2)
