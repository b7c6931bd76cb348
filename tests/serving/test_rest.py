"""The REST API and the other doors of one server, started with most flags."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from serving.client import RecommenderClient, RecommenderError
from serving.client import Request as RecommendRequest
from tests.serving.models import RunningServer, save_model, serve


class Arithmetic(tf.Module):
    """y = 2 x + offset, and a classifier and a regressor of the feature x."""

    def __init__(self, offset: float) -> None:
        super().__init__()
        self.offset = tf.Variable(offset)

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
    def double(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": 2 * x + self.offset}

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.int64, name="a"), tf.TensorSpec([None], tf.string, name="b_bytes")]
    )
    def echo(self, a: tf.Tensor, b_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"a": a + tf.cast(self.offset, tf.int64), "b_bytes": tf.identity(b_bytes)}

    def _x(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature([1], tf.float32)})["x"]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def classify(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        x = self._x(inputs)
        return {"classes": tf.where(x > 0, [["plus", "minus"]], [["minus", "plus"]]), "scores": tf.concat([x, -x], 1)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def regress(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"outputs": 2 * self._x(inputs)}


def save_arithmetic(path: Path, offset: float = 0.0, warm_up: bytes = b"") -> None:
    model = Arithmetic(offset)
    part = path.parent / f".{path.name}.part"
    signatures = {name: getattr(model, name) for name in ("echo", "classify", "regress")}
    tf.saved_model.save(model, str(part), signatures={"serving_default": model.double, **signatures})
    if warm_up:
        (part / "assets.extra").mkdir()
        with tf.io.TFRecordWriter(str(part / "assets.extra" / "tf_serving_warmup_requests")) as writer:
            writer.write(warm_up)
    part.rename(path)


def warm_up_record(name: str, value: Any) -> bytes:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "arithmetic"
    request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
    return bytes(log.SerializeToString())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


class Doors:
    def __init__(self, server: RunningServer, rest_port: int, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.rest = f"http://localhost:{rest_port}"
        channel = grpc.insecure_channel(server.address)
        self.predictions: Any = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        self.models: Any = model_service_pb2_grpc.ModelServiceStub(channel)

    def text(self, path: str, body: object = None) -> tuple[int, str]:
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            with urlopen(Request(self.rest + path, data), timeout=20) as response:
                return response.status, response.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()

    def json(self, path: str, body: object = None) -> Any:
        status, text = self.text(path, body)
        assert status == 200, text
        return json.loads(text)

    def error(self, path: str, body: object = None) -> tuple[int, str]:
        status, text = self.text(path, body)
        return status, json.loads(text)["error"]


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    folder = tmp_path_factory.mktemp("doors")
    for name in ("recommender", "arithmetic"):
        (folder / name).mkdir()
    save_model(folder / "recommender" / "1")
    save_arithmetic(folder / "arithmetic" / "1", 1.0, warm_up_record("x", [[1.0, 2.0]]))
    save_arithmetic(folder / "arithmetic" / "2", 2.0)
    save_arithmetic(folder / "arithmetic" / "3", 3.0)
    (folder / "models").write_text(f"""
        model_config_list {{
          config {{ name: "recommender" base_path: "{folder}/recommender" model_platform: "tensorflow" }}
          config {{
            name: "arithmetic" base_path: "{folder}/arithmetic" model_platform: "tensorflow"
            model_version_policy {{ specific {{ versions: 1 versions: 2 }} }}
            version_labels {{ key: "stable" value: 1 }}
          }}
        }}""")
    (folder / "monitoring").write_text("prometheus_config { enable: true }")
    (folder / "batching").write_text("max_batch_size { value: 8 } batch_timeout_micros { value: 1000 }")
    port = _free_port()
    flags = [f"--model_config_file={folder}/models", f"--rest_api_port={port}", "--enable_batching"]
    flags += [f"--monitoring_config_file={folder}/monitoring", f"--batching_parameters_file={folder}/batching"]
    with serve(folder / "unused", *flags) as server:
        yield Doors(server, port, folder)


def test_row_and_column_form(doors: Doors) -> None:
    path = "/v1/models/arithmetic:predict"
    assert doors.json(path, {"instances": [[1, 2], [3.5, 4]]}) == {"predictions": [[4.0, 6.0], [9.0, 10.0]]}
    assert doors.json(path, {"inputs": [[1, 2]]}) == {"outputs": [[4.0, 6.0]]}
    assert doors.json(path, {"inputs": {"x": [[1, 2]]}}) == {"outputs": [[4.0, 6.0]]}
    rows = {"signature_name": "echo", "instances": [{"a": 1, "b_bytes": {"b64": "/w=="}}, {"a": 2, "b_bytes": "é"}]}
    expected = [{"a": 3, "b_bytes": {"b64": "/w=="}}, {"a": 4, "b_bytes": {"b64": "w6k="}}]
    assert doors.json(path, rows) == {"predictions": expected}
    columns = {"signature_name": "echo", "inputs": {"a": [1], "b_bytes": ["x"]}}
    assert doors.json(path, columns) == {"outputs": {"a": [3], "b_bytes": [{"b64": "eA=="}]}}


def test_numbers_are_printed_as_tensorflow_serving_prints_them(doors: Doors) -> None:
    inputs = [[0.05, 4.5e6], [1 / 6, float("nan")]]
    status, text = doors.text("/v1/models/arithmetic/versions/1:predict", {"instances": inputs})
    assert status == 200
    assert text == '{\n    "predictions": [\n        [1.1, 9.000001e+06],\n        [1.33333337, NaN]\n    ]\n}'.replace(
        "9.000001e+06", "9000001.0"
    )


def test_versions_and_labels_in_the_path(doors: Doors) -> None:
    body = {"inputs": [[0, 0]]}
    assert doors.json("/v1/models/arithmetic/versions/1:predict", body) == {"outputs": [[1.0, 1.0]]}
    assert doors.json("/v1/models/arithmetic/labels/stable:predict", body) == {"outputs": [[1.0, 1.0]]}
    assert doors.error("/v1/models/arithmetic/versions/3:predict", body) == (
        404,
        "Servable not found for request: Specific(arithmetic, 3)",
    )
    assert doors.error("/v1/models/arithmetic/labels/new:predict", body) == (
        400,
        "Unrecognized servable version label: new",
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The document is empty"),
        (b"{", "JSON Parse error"),
        (b"[]", "Is not object"),
        ({}, "Missing 'inputs' or 'instances' key"),
        ({"inputs": [], "instances": []}, "only one of"),
        ({"instances": []}, "No values in 'instances' array"),
        ({"instances": [[1, 2], [3]]}, "should hold 2 values"),
        ({"instances": [[1, "2"]]}, "not of expected type: float"),
        ({"instances": [[True, 1]]}, "not of expected type: float"),
        ({"signature_name": "echo", "instances": [1]}, "expecting list of objects"),
        ({"signature_name": "echo", "instances": [{"a": 1}]}, "keys must be equal to: a,b_bytes"),
        ({"signature_name": "echo", "inputs": {"a": [1]}}, "Missing named input: b_bytes"),
        ({"signature_name": "echo", "inputs": {"a": [1 << 70], "b_bytes": ["x"]}}, "int64"),
        ({"signature_name": "echo", "inputs": {"a": [1], "b_bytes": [{"b64": "?"}]}}, "Unable to base64 decode"),
        ({"signature_name": "nothing", "inputs": [1]}, 'Serving signature name: "nothing" not found'),
        ({"signature_name": 3, "inputs": [1]}, "'signature_name' key must be a string value"),
    ],
)
def test_bad_bodies_are_bad_requests(doors: Doors, body: object, message: str) -> None:
    status, text = doors.error("/v1/models/arithmetic:predict", body)
    assert status == 400
    assert message in text


def test_status_metadata_and_unknown_paths(doors: Doors) -> None:
    status = {"error_code": "OK", "error_message": ""}
    versions = [{"version": v, "state": "AVAILABLE", "status": status} for v in ("2", "1")]
    assert doors.json("/v1/models/arithmetic") == {"model_version_status": versions}
    assert doors.json("/v1/models/arithmetic/versions/1") == {"model_version_status": versions[1:]}
    metadata = doors.json("/v1/models/arithmetic/metadata")
    assert metadata["model_spec"] == {"name": "arithmetic", "signature_name": "", "version": "2"}
    signature = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert doors.error("/v1/models/other") == (404, "Could not find any versions of model other")
    assert doors.error("/v1/nothing") == (400, "Malformed request: GET /v1/nothing")
    assert doors.text("/elsewhere")[0] == 404


def test_classify_and_regress(doors: Doors) -> None:
    body: dict[str, Any] = {"signature_name": "classify", "examples": [{"x": 1.5}, {"x": [-2.0]}]}
    expected = [[["plus", 1.5], ["minus", -1.5]], [["minus", -2.0], ["plus", 2.0]]]
    assert doors.json("/v1/models/arithmetic:classify", body) == {"results": expected}
    body = {"signature_name": "regress", "context": {"x": 4.0}, "examples": [{}, {"x": 1.0}]}
    assert doors.json("/v1/models/arithmetic:regress", body) == {"results": [8.0, 2.0]}
    assert doors.error("/v1/models/arithmetic:regress", {"examples": [{"x": 1.0}]})[0] == 400
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "arithmetic"
    with pytest.raises(grpc.RpcError) as raised:
        doors.predictions.Classify(request, timeout=20)
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_multi_inference(doors: Doors) -> None:
    request = inference_pb2.MultiInferenceRequest()
    request.input.example_list.examples.add().features.feature["x"].float_list.value.append(3.0)
    for name in ("classify", "regress"):
        task = request.tasks.add(method_name=f"tensorflow/serving/{name}")
        task.model_spec.name = "arithmetic"
        task.model_spec.signature_name = name
    classified, regressed = doors.predictions.MultiInference(request, timeout=20).results
    assert classified.classification_result.classifications[0].classes[0].label == "plus"
    assert regressed.regression_result.regressions[0].value == 6.0
    request.tasks[1].method_name = "tensorflow/serving/predict"
    with pytest.raises(grpc.RpcError, match="Unsupported signature method_name"):
        doors.predictions.MultiInference(request, timeout=20)


def test_batched_requests_get_their_own_answers(doors: Doors) -> None:
    calls = []
    for number in range(40):
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "arithmetic"
        rows = np.full([1 + number % 3, 2], number, np.float32)
        request.inputs["x"].CopyFrom(tf.make_tensor_proto(rows))
        calls.append((rows, doors.predictions.Predict.future(request, timeout=20)))
    for rows, call in calls:
        np.testing.assert_array_equal(tf.make_ndarray(call.result().outputs["y"]), 2 * rows + 2)
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.zeros([9, 2], np.float32)))
    with pytest.raises(grpc.RpcError, match="Task size 9 is larger than maximum input batch size 8") as raised:
        doors.predictions.Predict(request, timeout=20)
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_metrics(doors: Doors) -> None:
    doors.json("/v1/models/arithmetic:predict", {"inputs": [[0, 0]]})
    doors.error("/v1/models/arithmetic:predict", {"signature_name": "regress", "inputs": ["no example"]})
    status, page = doors.text("/monitoring/prometheus/metrics")
    assert status == 200
    assert "# TYPE :tensorflow:serving:request_count counter" in page
    assert ':tensorflow:serving:request_count{model_name="arithmetic",status="INVALID_ARGUMENT"}' in page
    labels = 'model_name="arithmetic",API="Predict",entrypoint="REST"'
    name = ":tensorflow:serving:request_latency"
    buckets = [line for line in page.splitlines() if line.startswith(f"{name}_bucket{{{labels}")]
    count = next(line for line in page.splitlines() if line.startswith(f"{name}_count{{{labels}"))
    assert len(buckets) == 33
    assert buckets[-1].split()[-1] == count.split()[-1] != "0"
    assert ':tensorflow:serving:loaded_version{model_name="arithmetic",version="2"} 1' in page


def test_warm_up_requests_were_answered_before_the_version_turned_available(doors: Doors) -> None:
    assert f"Warmed up {doors.folder}/arithmetic/1 with 1 requests" in doors.server.log.read_text()


def test_reloading_the_config(doors: Doors) -> None:
    """The last test of the module: it changes the server."""
    request = model_management_pb2.ReloadConfigRequest()
    models = request.config.model_config_list.config
    third = models.add(name="arithmetic", base_path=f"{doors.folder}/arithmetic", model_platform="tensorflow")
    third.version_labels["stable"] = 77
    with pytest.raises(grpc.RpcError, match="Request to assign label to version 77") as raised:
        doors.models.HandleReloadConfigRequest(request, timeout=60)
    assert raised.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    third.version_labels["stable"] = 3
    assert doors.models.HandleReloadConfigRequest(request, timeout=60).status.error_code == 0
    body = {"inputs": [[0, 0]]}
    assert doors.json("/v1/models/arithmetic/labels/stable:predict", body) == {"outputs": [[3.0, 3.0]]}
    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name = "recommender"
    with pytest.raises(grpc.RpcError) as raised:
        doors.models.GetModelStatus(status, timeout=20)
    assert raised.value.code() == grpc.StatusCode.NOT_FOUND
    models.add(name="arithmetic", base_path="/elsewhere")
    with pytest.raises(grpc.RpcError, match="multiple times"):
        doors.models.HandleReloadConfigRequest(request, timeout=60)


def test_regression_over_grpc(doors: Doors) -> None:
    request = regression_pb2.RegressionRequest()
    request.model_spec.name = "arithmetic"
    request.model_spec.signature_name = "regress"
    request.input.example_list.examples.add().features.feature["x"].float_list.value.append(3.0)
    assert [r.value for r in doors.predictions.Regress(request, timeout=20).result.regressions] == [6.0]


def _pems(folder: Path) -> tuple[bytes, bytes]:
    """A key and a self-signed certificate for localhost."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    form = serialization.PrivateFormat.PKCS8
    pem = serialization.Encoding.PEM
    return key.private_bytes(pem, form, serialization.NoEncryption()), certificate.public_bytes(pem)


def test_mutual_tls(tmp_path: Path) -> None:
    base_path = tmp_path / "recommender"
    base_path.mkdir()
    save_model(base_path / "1")
    key, certificate = _pems(tmp_path)
    quoted = {name: json.dumps(pem.decode()) for name, pem in (("key", key), ("cert", certificate))}
    (tmp_path / "ssl").write_text(
        f"server_key: {quoted['key']} server_cert: {quoted['cert']} custom_ca: {quoted['cert']} client_verify: true"
    )
    with serve(base_path, f"--ssl_config_file={tmp_path}/ssl") as server:
        known = grpc.ssl_channel_credentials(certificate, key, certificate)
        with RecommenderClient(server.address, credentials=known, timeout=20) as client:
            assert client.recommend(RecommendRequest(k=1))[0].item_id == "a"
        unknown = grpc.ssl_channel_credentials(certificate)
        client = RecommenderClient(server.address, credentials=unknown, timeout=2)
        with client, pytest.raises(RecommenderError, match="UNAVAILABLE"):
            client.recommend(RecommendRequest(k=1))
