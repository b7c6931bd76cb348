"""HandleReloadConfigRequest, version policies, labels and warm-up: server_core.cc, model_service_impl.cc,
file_system_storage_path_source.cc, availability_preserving_policy.cc, saved_model_warmup_util.cc."""

import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tensorflow_serving.apis import model_management_pb2

from tests.serving.conformance.conftest import Lab
from tests.serving.conformance.models import copy_half
from tests.serving.conformance.servers import EMBEDDED, TIMEOUT, Server, eventually, failure
from tests.serving.conformance.test_predict import ask, predict_request, refused

X = np.array([1.0], np.float32)


@pytest.fixture(autouse=True)
def only_the_base_models(server: Server) -> Iterator[None]:
    yield
    server.reload()


def policy(**choice: Any) -> dict[str, Any]:
    return {"model_version_policy": choice}


def model(lab: Lab, name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "base_path": f"{lab.root}/half_plus_two", **fields}


def versions(server: Server, name: str) -> set[int]:
    """The versions that answer."""
    return {version for version, state in server.states(name).items() if state == "AVAILABLE"}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({}, {3}),
        (policy(latest={"num_versions": 0}), {3}),
        (policy(latest={"num_versions": 2}), {2, 3}),
        (policy(all={}), {1, 2, 3}),
        (policy(specific={"versions": [1, 3]}), {1, 3}),
        (policy(specific={"versions": [2, 77]}), {2}),
    ],
)
def test_version_policies(lab: Lab, server: Server, choice: dict[str, Any], expected: set[int]) -> None:
    """The directory 00000003 is version 3. A specific version that there is not is left out."""
    assert server.reload(model(lab, "policy", **choice)).status.error_code == 0
    eventually(lambda: versions(server, "policy") == expected)
    assert ask(server, predict_request("policy", x=X)).model_spec.version.value == max(expected)
    request = predict_request("policy", x=X)
    request.model_spec.version.value = 77
    assert refused(server, request) == ("NOT_FOUND", "Servable not found for request: Specific(policy, 77)")


def test_a_new_policy_retires_versions(lab: Lab, server: Server) -> None:
    server.reload(model(lab, "policy", **policy(all={})))
    eventually(lambda: versions(server, "policy") == {1, 2, 3})
    server.reload(model(lab, "policy", **policy(specific={"versions": [1]})))
    eventually(lambda: server.states("policy") == {1: "AVAILABLE", 2: "END", 3: "END"})
    server.reload(model(lab, "policy", **policy(specific={"versions": [77]})))
    eventually(lambda: versions(server, "policy") == set())
    request = predict_request("policy", x=X)
    assert refused(server, request) == ("NOT_FOUND", "Servable not found for request: Latest(policy)")


def test_a_model_that_is_left_out_is_unloaded_and_its_status_stays(lab: Lab, server: Server) -> None:
    server.reload(model(lab, "leaving"))
    assert versions(server, "leaving") == {3}
    server.reload()
    eventually(lambda: server.states("leaving") == {3: "END"})
    request = predict_request("leaving", x=X)
    assert refused(server, request) == ("NOT_FOUND", "Servable not found for request: Latest(leaving)")
    server.reload(model(lab, "leaving"))
    assert versions(server, "leaving") == {3}


def test_new_versions_are_found_and_old_ones_retired(lab: Lab, server: Server) -> None:
    """Every second a look is taken at the base path: --file_system_poll_wait_seconds."""
    copy_half(lab.root, "growing/1")
    server.reload(model(lab, "growing") | {"base_path": f"{lab.root}/growing"})
    copy_half(lab.root, "growing/2")
    eventually(lambda: server.states("growing") == {1: "END", 2: "AVAILABLE"})
    if server.process is not None:  # --max_num_load_retries=0
        shutil.copytree(lab.root / "wrong" / "1", lab.root / "growing" / ".3")
        (lab.root / "growing" / ".3").rename(lab.root / "growing" / "3")
        eventually(lambda: server.states("growing") == {1: "END", 2: "AVAILABLE", 3: "END"})
        status = server.status("growing")[0].status
        assert status.error_code == 15
        assert status.error_message == f"Can't parse {lab.root}/growing/3/saved_model.pb as binary proto"
    assert ask(server, predict_request("growing", x=X)).model_spec.version.value == 2


def listed(*models: dict[str, Any]) -> Any:
    request = model_management_pb2.ReloadConfigRequest()
    request.config.model_config_list.SetInParent()
    for fields in models:
        request.config.model_config_list.config.add(**fields)
    return request


def test_no_config_and_a_custom_config_are_refused(server: Server) -> None:
    expected = (
        "INVALID_ARGUMENT",
        "ServerModelConfig type not supported by HandleReloadConfigRequest. "
        "Only ModelConfigList is currently supported",
    )
    request = model_management_pb2.ReloadConfigRequest()
    assert failure(lambda: server.models.HandleReloadConfigRequest(request, timeout=TIMEOUT)) == expected
    request.config.custom_model_config.SetInParent()
    assert failure(lambda: server.models.HandleReloadConfigRequest(request, timeout=TIMEOUT)) == expected


HALF = {"name": "half_plus_two", "base_path": "/nowhere", "model_platform": "tensorflow"}
REFUSALS: dict[str, tuple[list[dict[str, Any]], str, str]] = {
    "a name twice": (
        [HALF, HALF],
        "INVALID_ARGUMENT",
        "Illegal to list model half_plus_two multiple times in config list",
    ),
    "a relative path": (
        [HALF | {"base_path": "some/where"}],
        "INVALID_ARGUMENT",
        "Expected model half_plus_two to have an absolute path or URI; got base_path()=some/where",
    ),
    "a path that begins like a URI": (
        [HALF | {"base_path": "file:/some/where"}],
        "INVALID_ARGUMENT",
        "Expected model half_plus_two to have an absolute path or URI; got base_path()=file:/some/where",
    ),
    "no path": (
        [HALF | {"base_path": ""}],
        "INVALID_ARGUMENT",
        "Expected model half_plus_two to have an absolute path or URI; got base_path()=",
    ),
    "no platform": (
        [HALF | {"model_platform": ""}],
        "INVALID_ARGUMENT",
        "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform, "
        "model name is half_plus_two",
    ),
    "type and platform": (
        [HALF | {"model_type": 1}],
        "INVALID_ARGUMENT",
        "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform, "
        "model name is half_plus_two",
    ),
    "another type": (
        [HALF | {"model_platform": "", "model_type": 2}],
        "INVALID_ARGUMENT",
        "ModelServerConfig::model_type choice 2 not supported.",
    ),
    "a new model of a platform that there is not": (
        [HALF | {"name": "new", "model_platform": "torch"}],
        "INVALID_ARGUMENT",
        "Model new requests unsupported platform torch",
    ),
    "another platform": (
        [HALF | {"model_platform": "torch"}],
        "INVALID_ARGUMENT",
        "Illegal to change a model's platform. For model half_plus_two platform was tensorflow and new platform "
        "requested is torch",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_config_that_is_refused_changes_nothing(server: Server, case: str) -> None:
    models, code, message = REFUSALS[case]
    found = failure(lambda: server.models.HandleReloadConfigRequest(listed(*models), timeout=TIMEOUT))
    assert found == (code, message)
    assert ask(server, predict_request("half_plus_two", x=X)).model_spec.version.value == 2


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("broken", "OUT_OF_RANGE", "Read less bytes than requested"),
        ("cut", "OUT_OF_RANGE", "Read less bytes than requested"),
        ("wrong", "DATA_LOSS", "Can't parse {}/1/saved_model.pb as binary proto"),
        ("wrong_text", "DATA_LOSS", "Can't parse {}/1/saved_model.pbtxt as text proto"),
        (
            "empty",
            "NOT_FOUND",
            "Specified file path does not appear to contain a SavedModel bundle (should have a file called "
            "`saved_model.pb`)\nSpecified file path: {}/1",
        ),
        ("no_input", "INVALID_ARGUMENT", "Node 'Variable/Read/ReadVariableOp': Unknown input node 'nowhere'"),
        ("cold", "FAILED_PRECONDITION", 'Serving signature key "nothing" not found.'),
    ],
)
def test_a_model_that_cannot_be_loaded(lab: Lab, server: Server, name: str, code: str, message: str) -> None:
    """The others go on. `cold` has a warm-up request that it cannot answer."""
    if server.process is None:
        pytest.skip("needs --max_num_load_retries=0: give --server-binary instead of --server-address")
    path = f"{lab.root}/{name}"
    found = failure(lambda: server.reload(model(lab, name) | {"base_path": path}))
    error = f"{{{{name: {name} version: 1}} due to error: {code}: {message.format(path)}}}, "
    assert found == ("UNKNOWN", f"1 model(s) did not become available: {{{error}}}")
    (status,) = server.status(name)
    assert (status.state, status.status.error_message) == (50, message.format(path))
    request = predict_request(name, x=X)
    assert refused(server, request) == ("NOT_FOUND", f"Servable not found for request: Latest({name})")
    assert ask(server, predict_request("half_plus_two", x=X)).model_spec.version.value == 2


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("no_shard", 5, "{}/1/variables/variables.data-00000-of-00001; No such file or directory\n\t [["),
        ("cut_shard", 11, "Read less bytes than requested\n\t [["),
    ],
)
def test_a_model_whose_variables_cannot_be_read(lab: Lab, server: Server, name: str, code: int, message: str) -> None:
    """The message ends with the names of the nodes that read them."""
    if server.process is None:
        pytest.skip("needs --max_num_load_retries=0: give --server-binary instead of --server-address")
    path = f"{lab.root}/{name}"
    failure(lambda: server.reload(model(lab, name) | {"base_path": path}))
    (status,) = server.status(name)
    assert (status.state, status.status.error_code) == (50, code)
    assert status.status.error_message.startswith(message.format(path))


def test_of_a_model_one_version_that_failed_is_named(lab: Lab, server: Server) -> None:
    """server_core.cc: WaitUntilModelsAvailable looks for the first version that has ended."""
    if server.process is None:
        pytest.skip("needs --max_num_load_retries=0: give --server-binary instead of --server-address")
    both = {"base_path": f"{lab.root}/twice_broken", **policy(specific={"versions": [1, 2]})}
    code, message = failure(lambda: server.reload(model(lab, "twice_broken") | both))
    error = "{{{{name: twice_broken version: {}}} due to error: OUT_OF_RANGE: Read less bytes than requested}}, "
    assert code == "UNKNOWN"
    assert message in [f"1 model(s) did not become available: {{{error.format(version)}}}" for version in (1, 2)]
    eventually(lambda: server.states("twice_broken") == {1: "END", 2: "END"})


def test_while_the_wanted_version_does_not_answer_the_newest_of_the_others_does(lab: Lab, server: Server) -> None:
    """availability_preserving_policy.cc."""
    if server.process is None:
        pytest.skip("needs --max_num_load_retries=0: give --server-binary instead of --server-address")
    for version in (1, 2):
        copy_half(lab.root, f"falling/{version}")
    shutil.copytree(lab.root / "broken" / "1", lab.root / "falling" / "3")
    falling = model(lab, "falling") | {"base_path": f"{lab.root}/falling"}
    server.reload(falling | policy(specific={"versions": [1, 2]}))
    eventually(lambda: versions(server, "falling") == {1, 2})
    server.reload(falling)
    eventually(lambda: server.states("falling") == {1: "END", 2: "AVAILABLE", 3: "END"})


def test_a_model_with_warm_up_requests_is_loaded(lab: Lab, server: Server) -> None:
    server.reload(model(lab, "warm") | {"base_path": f"{lab.root}/warm"})
    assert versions(server, "warm") == {1}


def test_requests_cannot_be_logged(lab: Lab, server: Server) -> None:
    """server_request_logger.cc: the open source server brings no logger. The models are served all the same."""
    logged = model(lab, "logged", logging_config={"sampling_config": {"sampling_rate": 0.5}})
    expected = ("INVALID_ARGUMENT", "No request-logger-creator provided.")
    assert failure(lambda: server.reload(logged)) == expected
    assert versions(server, "logged") == {3}


@pytest.mark.parametrize("folder", ["no_version", "nowhere"])
def test_a_model_without_versions_is_waited_for(lab: Lab, server: Server, folder: str) -> None:
    """The caller's deadline ends its waiting; the other models go on."""
    if server.process is None or lab.binary != EMBEDDED:
        pytest.skip("TensorFlow Serving waits for ever, even when the caller has gone, and takes no other config then")
    waiting = model(lab, folder) | {"base_path": f"{lab.root}/{folder}"}
    assert failure(lambda: server.reload(waiting, timeout=1))[0] == "DEADLINE_EXCEEDED"
    assert ask(server, predict_request("half_plus_two", x=X)).model_spec.version.value == 2


def labelled(server: Server, name: str, label: str) -> int:
    request = predict_request(name, x=X)
    request.model_spec.version_label = label
    return int(ask(server, request).model_spec.version.value)


def test_labels_go_to_versions_that_answer(lab: Lab, server: Server) -> None:
    """A label is checked before anything is loaded, so a new model cannot bring labels along."""
    both = policy(specific={"versions": [1, 2]})
    unavailable = (
        "Request to assign label to version {} of model labels, which is not currently available for inference"
    )
    new = model(lab, "labels", **both, version_labels={"stable": 1})
    assert failure(lambda: server.reload(new)) == ("FAILED_PRECONDITION", unavailable.format(1))
    server.reload(model(lab, "labels", **both))
    eventually(lambda: versions(server, "labels") == {1, 2})
    server.reload(model(lab, "labels", **both, version_labels={"stable": 1, "canary": 2}))
    assert (labelled(server, "labels", "stable"), labelled(server, "labels", "canary")) == (1, 2)
    path = "/v1/models/labels/labels/canary"
    assert server.json(f"{path}:predict", {"instances": [1.0]}) == {"predictions": [2.5]}
    assert server.json(f"{path}/metadata")["model_spec"]["version"] == "2"
    moved = model(lab, "labels", **both, version_labels={"stable": 3})
    assert failure(lambda: server.reload(moved)) == ("FAILED_PRECONDITION", unavailable.format(3))
    assert labelled(server, "labels", "canary") == 2
    server.reload(model(lab, "labels", **both, version_labels={"stable": 2}))
    assert labelled(server, "labels", "stable") == 2
    request = predict_request("labels", x=X)
    request.model_spec.version_label = "canary"
    assert refused(server, request) == ("INVALID_ARGUMENT", "Unrecognized servable version label: canary")


def test_metrics_that_are_named_come_back_with_their_increase(server: Server) -> None:
    """model_service_impl.cc."""
    response = server.reload(metric_names=("/tensorflow/serving/request_count", "/none"))
    assert {metric.name: metric.int64_value_increase for metric in response.metric} == {
        "/tensorflow/serving/request_count": 0,
        "/none": 0,
    }
