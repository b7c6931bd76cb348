"""GetModelMetadata, GetModelStatus and health: get_model_metadata_impl.cc, get_model_status_impl.cc, server.cc."""

from typing import Any

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from tests.serving.conformance.conftest import Lab
from tests.serving.conformance.models import signature_names
from tests.serving.conformance.servers import TIMEOUT, Server, failure


def metadata_request(model: str, *fields: str) -> get_model_metadata_pb2.GetModelMetadataRequest:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    request.model_spec.name = model
    return request


def status_request(model: str, **choice: Any) -> get_model_status_pb2.GetModelStatusRequest:
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = model
    if "version" in choice:
        request.model_spec.version.value = choice["version"]
    elif "label" in choice:
        request.model_spec.version_label = choice["label"]
    return request


def test_metadata_holds_every_signature_of_the_newest_version(server: Server) -> None:
    response = server.predictions.GetModelMetadata(metadata_request("signatures", "signature_def"), timeout=TIMEOUT)
    assert list(response.metadata) == ["signature_def"]
    found = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(found)
    assert set(found.signature_def) >= set(signature_names())
    default = found.signature_def["serving_default"]
    assert default.inputs["x"].dtype == 1
    assert [dim.size for dim in default.inputs["x"].tensor_shape.dim] == [-1]
    assert default.method_name == "tensorflow/serving/predict"
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("signatures", 1, "")


NO_SPEC = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
REFUSALS = {
    "no model_spec": (NO_SPEC, "INVALID_ARGUMENT", "Missing ModelSpec"),
    "no field": (
        metadata_request("signatures"),
        "INVALID_ARGUMENT",
        "GetModelMetadataRequest must specify at least one metadata_field",
    ),
    "unknown field": (
        metadata_request("signatures", "signature_def", "weights"),
        "INVALID_ARGUMENT",
        "Metadata field weights is not supported",
    ),
    "the field comes before the model": (
        metadata_request("none", "weights"),
        "INVALID_ARGUMENT",
        "Metadata field weights is not supported",
    ),
    "unknown model": (
        metadata_request("none", "signature_def"),
        "NOT_FOUND",
        "Servable not found for request: Latest(none)",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_metadata_refused(server: Server, case: str) -> None:
    request, *expected = REFUSALS[case]
    assert list(failure(lambda: server.predictions.GetModelMetadata(request, timeout=TIMEOUT))) == expected


def test_status_lists_all_versions_the_newest_first(server: Server) -> None:
    found = server.status("half_plus_two")
    assert [status.version for status in found] == [2, 1]
    assert {(s.state, s.status.error_code, s.status.error_message) for s in found} == {(30, 0, "")}


def test_status_of_one_version(server: Server) -> None:
    response = server.models.GetModelStatus(status_request("half_plus_two", version=1), timeout=TIMEOUT)
    assert [status.version for status in response.model_version_status] == [1]


def test_status_does_not_look_at_labels(server: Server) -> None:
    response = server.models.GetModelStatus(status_request("half_plus_two", label="none"), timeout=TIMEOUT)
    assert len(response.model_version_status) == 2


STATUS_REFUSALS = {
    "no model_spec": (get_model_status_pb2.GetModelStatusRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
    "no name": (status_request(""), "NOT_FOUND", "Could not find any versions of model "),
    "unknown model": (status_request("none"), "NOT_FOUND", "Could not find any versions of model none"),
    "unknown version": (
        status_request("half_plus_two", version=9),
        "NOT_FOUND",
        "Could not find version 9 of model half_plus_two",
    ),
}


@pytest.mark.parametrize("case", STATUS_REFUSALS)
def test_status_refused(server: Server, case: str) -> None:
    request, *expected = STATUS_REFUSALS[case]
    assert list(failure(lambda: server.models.GetModelStatus(request, timeout=TIMEOUT))) == expected


def test_health(lab: Lab, server: Server) -> None:
    """--enable_grpc_healthcheck_service."""
    lab.need_binary()
    stub: Any = health_pb2_grpc.HealthStub(server.channel)
    for service in ("", "PredictionService", "ModelService"):
        assert stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=TIMEOUT).status == 1
    unknown = health_pb2.HealthCheckRequest(service="none")
    assert failure(lambda: stub.Check(unknown, timeout=TIMEOUT))[0] == "NOT_FOUND"


@pytest.mark.parametrize("method", ["SessionService/SessionRun", "PredictionService/Nothing", "nothing"])
def test_methods_that_there_are_not(server: Server, method: str) -> None:
    call = server.channel.unary_unary(f"/tensorflow.serving.{method}")
    assert failure(lambda: call(b"", timeout=TIMEOUT)) == ("UNIMPLEMENTED", "")
