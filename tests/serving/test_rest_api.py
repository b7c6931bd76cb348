"""REST, TLS, several models and the metrics page, on one real server."""

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving.client import RecommenderClient, RecommenderError
from serving.client import Request as Recommend
from serving.server.process import free_port
from tests.serving.models import RunningServer, eventually, pems, save_model, serve

CONNECTIONS = 16


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, str, bytes, bytes]]:
    """A server of two models with mutual TLS, REST and a Prometheus page; its REST address, key and certificate."""
    root = tmp_path_factory.mktemp("rest")
    (root / "one").mkdir()
    save_model(root / "one" / "1")
    save_model(root / "one" / "2", offset=2.0)
    config = f"""model_config_list {{
      config {{ name: "one" base_path: "{root}/one" model_version_policy {{ all {{ }} }}
               version_labels {{ key: "stable" value: 1 }}
               logging_config {{ sampling_config {{ sampling_rate: 1 }}
                 log_collector_config {{ type: "tfrecord" filename_prefix: "{root}/logs/one" }} }} }}
      config {{ name: "two" base_path: "{root}/one" }} }}"""
    (root / "models").write_text(config)
    (root / "monitoring").write_text("prometheus_config { enable: true }")
    key, certificate = pems()
    text = ["server_key", "server_cert", "custom_ca"]
    pem = dict(zip(text, map(_quoted, (key, certificate, certificate)), strict=True))
    (root / "ssl").write_text(" ".join(f"{name}: {value}" for name, value in pem.items()) + " client_verify: true")
    port = free_port()
    flags = [f"--{name}={root}/{file}" for name, file in FILES.items()]
    flags += [f"--rest_api_port={port}", f"--rest_max_connections={CONNECTIONS}", "--max_message_bytes=100000"]
    with serve(root / "one", "--model_base_path=", *flags, "--rest_api_timeout_in_ms=3000") as server:
        yield server, f"http://127.0.0.1:{port}", key, certificate


FILES = {"model_config_file": "models", "monitoring_config_file": "monitoring", "ssl_config_file": "ssl"}


def _quoted(pem: bytes) -> str:
    return '"' + pem.decode().replace("\n", "\\n") + '"'


Rest = tuple[RunningServer, str, bytes, bytes]


def ask(rest: Rest, path: str, body: Any = None) -> tuple[int, Any]:
    """The status and the JSON of an answer."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urlopen(Request(rest[1] + path, data), timeout=20) as response:
            return response.status, json.load(response)
    except HTTPError as error:
        return error.code, json.load(error)


def test_predict_by_model_version_and_label(rest: Rest) -> None:
    inputs = {"user_id": ["u"], "item_id": [["a"]], "k": [1]}
    body = {"signature_name": "recommend_tensors", "inputs": inputs}
    for path, like in (("one", 2.5), ("two", 2.5), ("one/versions/1", 0.5), ("one/labels/stable", 0.5)):
        status, answer = ask(rest, f"/v1/models/{path}:predict", body)
        assert status == 200
        assert answer["outputs"]["item_id"] == [["b"]]
        assert answer["outputs"]["like"] == [[pytest.approx(like)]]
    rows = [{"user_id": "u", "item_id": ["a"], "k": 1}, {"user_id": "v", "item_id": ["b"], "k": 1}]
    status, answer = ask(rest, "/v1/models/one:predict", {"signature_name": "recommend_tensors", "instances": rows})
    assert [row["item_id"] for row in answer["predictions"]] == [["b"], ["a"]]


def test_status_by_label(rest: Rest) -> None:
    _, answer = ask(rest, "/v1/models/one/labels/stable")
    assert [(v["version"], v["state"]) for v in answer["model_version_status"]] == [("1", "AVAILABLE")]


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/v1/models/one:predict", b"[" * 100, 400, "the body is not JSON"),
        ("/v1/models/one:predict", b'{"instances": ' + b"[" * 100 + b"]" * 100 + b"}", 400, "at most 8 dimensions"),
        ("/v1/models/one:predict", {"instances": ["no example"]}, 400, "Could not parse example input"),
        ("/v1/models/one:predict", {"signature_name": 7, "instances": [1]}, 400, "should be a string"),
        ("/v1/models/one/versions/9", None, 404, "no such version"),
        ("/v1/models/one/labels/new", None, 400, "no version labelled 'new'"),
        ("/v1/models/one:classify", {"examples": []}, 404, "Not Found"),
        ("/v1/models/one:predict", None, 405, "Method Not Allowed"),
        ("/v1/models/one:predict", b" " * 100_001, 413, "Request Entity Too Large"),
    ],
)
def test_errors_are_json_with_the_callers_status(rest: Rest, path: str, body: Any, status: int, message: str) -> None:
    found, answer = ask(rest, path, body)
    assert found == status
    assert message in answer["error"]


def test_a_message_beyond_the_bound_is_refused(rest: Rest) -> None:
    credentials = grpc.ssl_channel_credentials(rest[3], rest[2], rest[3])
    with RecommenderClient(rest[0].address.replace("127.0.0.1", "localhost"), "one", 20, credentials=credentials) as c:
        assert c.recommend(Recommend(k=1))[0].item_id == "a"
        with pytest.raises(RecommenderError, match="RESOURCE_EXHAUSTED"):
            c.recommend(Recommend(history=["x" * 1000] * 200))


def test_without_the_clients_certificate_nobody_is_answered(rest: Rest) -> None:
    credentials = grpc.ssl_channel_credentials(rest[3])
    address = rest[0].address.replace("127.0.0.1", "localhost")
    client = RecommenderClient(address, "one", 5, attempts=1, credentials=credentials)
    with client, pytest.raises(RecommenderError, match="UNAVAILABLE"):
        client.recommend(Recommend())


def test_connections_are_bounded_and_slow_bodies_end(rest: Rest) -> None:
    host, port = rest[1].removeprefix("http://").split(":")
    head = b"POST /v1/models/one:predict HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\n{"
    with ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection((host, int(port)))) for _ in range(CONNECTIONS)]
        for connection in slow:
            connection.sendall(head)
        with socket.create_connection((host, int(port)), timeout=10) as refused:
            assert refused.recv(1) == b"", "a connection beyond the bound is closed at once"
        slow[0].settimeout(20)
        assert slow[0].recv(100).startswith(b"HTTP/1.1 504"), "a body that does not come ends in time"
    eventually(lambda: _is_answered(rest))


def _is_answered(rest: Rest) -> bool:
    try:
        return ask(rest, "/v1/models/one")[0] == 200
    except OSError:
        return False


def test_metrics(rest: Rest) -> None:
    inputs = {"user_id": ["u"], "item_id": [["a"]], "k": [1]}
    ask(rest, "/v1/models/two:predict", {"signature_name": "recommend_tensors", "inputs": inputs})
    ask(rest, "/v1/models/two:predict", {"instances": []})
    with urlopen(rest[1] + "/monitoring/prometheus/metrics", timeout=20) as response:
        page = response.read().decode()
    labels = 'model_name="two",status="INVALID_ARGUMENT"'
    assert re.search(rf":tensorflow:serving:request_count{{{labels}}} [1-9]", page)
    assert ':tensorflow:serving:loaded_version{model_name="one",version="1"} 1.0' in page
    assert ':tensorflow:serving:request_latency_count{API="Predict",entrypoint="REST",model_name="two"}' in page


def test_requests_over_rest_are_logged(rest: Rest) -> None:
    inputs = {"user_id": ["logged"], "item_id": [["a"]], "k": [2]}
    ask(rest, "/v1/models/one/versions/1:predict", {"signature_name": "recommend_tensors", "inputs": inputs})
    ask(rest, "/v1/models/one:predict", {"signature_name": "recommend_tensors", "inputs": {"user_id": ["logged"]}})
    eventually(lambda: len(_logged(rest, b"logged")) == 1)
    (log,) = _logged(rest, b"logged")
    spec = log.log_metadata.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("one", 1, "recommend_tensors")
    assert log.log_metadata.sampling_config.sampling_rate == 1
    assert 0 <= time.time() - log.log_metadata.timestamp_secs < 60
    assert log.predict_log.response.outputs["item_id"].string_val == [b"b", b"c"]


def _logged(rest: Rest, user: bytes) -> list[prediction_log_pb2.PredictionLog]:
    """The records of a user in the log of model `one`."""
    files = [str(file) for file in (rest[0].log.parent / "logs").glob("one-*.tfrecord")]
    records = tf.data.TFRecordDataset(files).as_numpy_iterator() if files else ()
    logs = [prediction_log_pb2.PredictionLog.FromString(record) for record in records]
    return [log for log in logs if user in log.predict_log.request.inputs["user_id"].string_val]
