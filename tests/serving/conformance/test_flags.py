"""Flags and files: main.cc, server.cc, batching_session.cc. Every test needs a binary."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import model_management_pb2

from tests.serving.conformance.conftest import Lab
from tests.serving.conformance.servers import (
    PATIENCE,
    TIMEOUT,
    Process,
    Server,
    config_text,
    eventually,
    failure,
    free_port,
)
from tests.serving.conformance.test_classify_and_regress import call, classify_request
from tests.serving.conformance.test_predict import ask, predict_request, refused

X = np.array([1.0, 2.0], np.float32)


def rows(*sizes: int) -> dict[str, np.ndarray]:
    return {name: np.ones([size], kind) for name, size, kind in zip("ab", sizes, (np.int64, np.float32), strict=False)}


def test_unknown_flags_are_named_and_passed_over(lab: Lab, server: Server) -> None:
    lab.need_binary()
    assert server.process is not None
    assert "unknown argument: --some_flag_that_nobody_knows=1" in server.process.log.read_text(errors="replace")


def test_a_unix_socket(lab: Lab, server: Server) -> None:
    """--grpc_socket_path."""
    lab.need_binary()
    over_socket = Server(f"unix:{lab.root}/socket", server.rest_address)
    assert ask(over_socket, predict_request("signatures", x=X)).model_spec.version.value == 1


def test_mutual_tls(flagged: Server) -> None:
    """--ssl_config_file with client_verify: no certificate, no answer."""
    assert ask(flagged, predict_request("signatures", x=X)).model_spec.version.value == 1
    plain = Server(flagged.grpc_address, flagged.rest_address)
    code, _ = failure(lambda: plain.predictions.Predict(predict_request("signatures", x=X), timeout=3))
    assert code in ("UNAVAILABLE", "DEADLINE_EXCEEDED")
    unknown = Server(flagged.grpc_address, flagged.rest_address, grpc.ssl_channel_credentials())
    assert failure(lambda: unknown.predictions.Predict(predict_request("signatures", x=X), timeout=3))[0] in (
        "UNAVAILABLE",
        "DEADLINE_EXCEEDED",
    )


def test_answers_in_tensor_content(flagged: Server) -> None:
    """--enable_serialization_as_tensor_content."""
    output = ask(flagged, predict_request("signatures", x=X)).outputs["y"]
    assert output.tensor_content == np.array([2.5, 3.0], np.float32).tobytes()
    assert not output.float_val
    output = ask(flagged, predict_request("signatures", "strings", text=["ab", "c"], raw=["", ""])).outputs["text"]
    assert output.tensor_content == b"\x02\x01abc"  # tensor_coding.cc: the sizes, then the strings
    assert not output.string_val


def test_method_names_are_checked(flagged: Server) -> None:
    """--enable_signature_method_name_check: TensorFlow 2 saves every signature as one for Predict."""
    assert failure(lambda: call(flagged, classify_request("classify", 1.0))) == (
        "INVALID_ARGUMENT",
        "Expected classification signature method_name to be tensorflow/serving/classify. "
        "Was: tensorflow/serving/predict",
    )


def test_batched_requests_get_their_own_rows(flagged: Server) -> None:
    """max_batch_size 4, allowed_batch_sizes 2 and 4: a batch of one is filled up, and nobody sees it."""

    def one(number: int) -> bool:
        x = np.full([1 + number % 4], number, np.float32)
        response = ask(flagged, predict_request("signatures", x=x))
        return bool(np.array_equal(tf.make_ndarray(response.outputs["y"]), x / 2 + 2))

    with ThreadPoolExecutor(8) as callers:
        assert all(callers.map(one, range(40)))


BATCH_REFUSALS: dict[str, tuple[Any, str, str]] = {
    "more rows than max_batch_size": (
        predict_request("signatures", x=np.zeros([5], np.float32)),
        "INVALID_ARGUMENT",
        "Task size 5 is larger than maximum input batch size 4",
    ),
    "a scalar input": (
        predict_request("signatures", "slow", seconds=np.float64(0)),
        "INVALID_ARGUMENT",
        "Batching Run() input tensors must have at least one dimension",
    ),
    "inputs of unequal rows": (
        predict_request("signatures", "two_inputs", **rows(1, 2)),
        "INVALID_ARGUMENT",
        "Batching Run() input tensors must have equal 0th-dimension size",
    ),
    "a scalar output": (
        predict_request("signatures", "total", x=X),
        "FAILED_PRECONDITION",
        "Batched output tensor has 0 dimensions",
    ),
    "an output with other rows": (
        predict_request("signatures", "uneven", x=X),
        "FAILED_PRECONDITION",
        "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input tensors",
    ),
}


@pytest.mark.parametrize("case", BATCH_REFUSALS)
def test_what_cannot_be_batched(flagged: Server, case: str) -> None:
    request, code, message = BATCH_REFUSALS[case]
    assert refused(flagged, request) == (code, message)


def test_cross_origin_headers(flagged: Server) -> None:
    """--rest_api_enable_cors_support."""
    preflight = {"Origin": "https://example.org"}
    for path, method in (("/v1/models/signatures", "GET"), ("/v1/nothing", "GET"), ("/v1/nothing", "OPTIONS")):
        headers = flagged.rest(path, method=method, headers=preflight)[2]
        assert headers["access-control-allow-origin"] == "*"
        assert headers["access-control-allow-methods"] == "POST, GET"
        assert headers["access-control-allow-headers"] == "Content-Type"
    assert "access-control-allow-origin" not in flagged.rest("/others")[2]


def test_the_model_config_file_is_read_again(lab: Lab, flagged: Server) -> None:
    """--model_config_file_poll_wait_seconds. A file that cannot be read changes nothing."""
    signatures = {"name": "signatures", "base_path": f"{lab.root}/signatures"}
    (lab.root / "polled").write_text("model_config_list { config {")
    half = {"name": "half", "base_path": f"{lab.root}/half_plus_two"}
    (lab.root / "polled").write_text(config_text(signatures, half))
    eventually(lambda: flagged.rest("/v1/models/half")[0] == 200 and flagged.states("half") == {3: "AVAILABLE"})
    (lab.root / "polled").write_text("this is no config")
    (lab.root / "polled").write_text(config_text(signatures))
    eventually(lambda: flagged.states("half") == {3: "END"})
    assert flagged.states("signatures") == {1: "AVAILABLE"}


def test_the_model_config_file_undoes_what_a_caller_has_set(lab: Lab, flagged: Server) -> None:
    """server.cc: PollFilesystemAndReloadConfig. What both name stays loaded."""
    listed = model_management_pb2.ReloadConfigRequest()
    for name, path in (("signatures", "signatures"), ("set", "half_plus_two")):
        listed.config.model_config_list.config.add(
            name=name, base_path=f"{lab.root}/{path}", model_platform="tensorflow"
        )
    flagged.models.HandleReloadConfigRequest(listed, timeout=TIMEOUT)
    eventually(lambda: flagged.rest("/v1/models/set")[0] == 200 and flagged.states("set") == {3: "END"})
    assert flagged.states("signatures") == {1: "AVAILABLE"}


def test_sigterm_ends_the_server(flagged: Server) -> None:
    """The last test of the second server. TensorFlow Serving dies of the signal; draining and status 0 are as good."""
    assert flagged.process is not None
    flagged.process.process.terminate()
    assert flagged.process.process.wait(PATIENCE) in (0, -15)
    assert failure(lambda: flagged.predictions.Predict(predict_request("signatures", x=X), timeout=2))[0] in (
        "UNAVAILABLE",
        "DEADLINE_EXCEEDED",
    )


START_REFUSALS: dict[str, tuple[list[str], str]] = {
    "no model": ([], "Both server_options.model_base_path and server_options.model_config_file are empty!"),
    "a relative path": (
        ["--model_base_path=some/where"],
        "INVALID_ARGUMENT: Expected model default to have an absolute path or URI; got base_path()=some/where",
    ),
    "no config file": (["--model_config_file={root}/none"], "NOT_FOUND: {root}/none"),
    "a config file that is none": (["--model_config_file={root}/text"], "Invalid protobuf file: '{root}/text'"),
    "a label at start": (
        ["--model_config_file={root}/labelled"],
        "FAILED_PRECONDITION: Request to assign label to version 1 of model half, which is not currently available "
        "for inference",
    ),
    "batching parameters without batching": (
        ["--model_base_path={root}/half_plus_two", "--batching_parameters_file={root}/batching"],
        "INVALID_ARGUMENT: server_options.batching_parameters_file is set without setting "
        "server_options.enable_batching to true.",
    ),
    "allowed sizes that do not end with the largest": (
        [
            "--model_base_path={root}/half_plus_two",
            "--enable_batching",
            "--batching_parameters_file={root}/sizes",
            "--max_num_load_retries=0",
        ],
        "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; expected 8",
    ),
    "a warm-up request that is larger than a batch": (
        [
            "--model_base_path={root}/wide",
            "--enable_batching",
            "--batching_parameters_file={root}/narrow",
            "--max_num_load_retries=0",
        ],
        "INVALID_ARGUMENT: Task size 8 is larger than maximum input batch size 4",
    ),
    "tags that the model has not": (
        ["--model_base_path={root}/half_plus_two", "--saved_model_tags=train", "--max_num_load_retries=0"],
        "NOT_FOUND: Could not find meta graph def matching supplied tags: {{ train }}. To inspect available tag-sets "
        "in the SavedModel, please use the SavedModel CLI: `saved_model_cli`",
    ),
    "all three thread flags": (
        [
            "--model_base_path={root}/half_plus_two",
            "--tensorflow_session_parallelism=1",
            "--tensorflow_intra_op_parallelism=1",
            "--tensorflow_inter_op_parallelism=1",
        ],
        "You cannot configure all.",
    ),
    "a key that is none": (
        ["--model_base_path={root}/half_plus_two", "--ssl_config_file={root}/keyless"],
        "INVALID_ARGUMENT: Failed to BuildAndStart gRPC server",
    ),
    "two kinds of credentials": (
        ["--model_base_path={root}/half_plus_two", "--use_alts_credentials", "--ssl_config_file={root}/ssl"],
        "Either use_alts_credentials must be false or ssl_config_file must be empty.",
    ),
}


@pytest.fixture(scope="session")
def failed_starts(lab: Lab) -> dict[str, Process]:
    """All at once: each is over soon."""
    lab.need_binary()
    (lab.root / "text").write_text("improbable_field: 5")
    (lab.root / "narrow").write_text("max_batch_size { value: 4 }")
    (lab.root / "keyless").write_text('server_key: "x" server_cert: "y"')
    (lab.root / "sizes").write_text("max_batch_size { value: 8 } allowed_batch_sizes: [2, 4]")
    policy = 'version_labels { key: "stable" value: 1 }'
    (lab.root / "labelled").write_text(
        config_text({"name": "half", "base_path": f"{lab.root}/half_plus_two", "policy": policy})
    )
    return {
        case: lab.start(
            f"start {number}",
            f"--port={free_port()}",
            *(flag.format(root=lab.root) for flag in START_REFUSALS[case][0]),
        )
        for number, case in enumerate(START_REFUSALS)
    }


@pytest.mark.parametrize("case", START_REFUSALS)
def test_what_keeps_a_server_from_starting(lab: Lab, failed_starts: dict[str, Process], case: str) -> None:
    status, output = failed_starts[case].output()
    assert status == 255
    assert "Failed to start server. Error: " in output
    assert START_REFUSALS[case][1].format(root=lab.root) in output


def test_a_model_that_cannot_be_loaded_keeps_a_server_from_starting(lab: Lab, broken: Process | None) -> None:
    lab.need_binary()
    assert broken is not None
    status, output = broken.output()
    assert status == 255
    assert (
        "1 servable(s) did not become available: {{{name: broken version: 1} due to error: OUT_OF_RANGE: "
        "Read less bytes than requested}, }"
    ) in output


@pytest.mark.parametrize("flag", ["--port=abc", "--enable_batching=maybe"])
def test_values_that_cannot_be_read(lab: Lab, flag: str) -> None:
    lab.need_binary()
    process = lab.start(f"usage {flag[2:6]}", flag, f"--model_base_path={lab.root}/half_plus_two")
    status, output = process.output()
    assert status == 255
    assert "usage: " in output


def test_version(lab: Lab) -> None:
    lab.need_binary()
    status, output = lab.start("version", "--version").output()
    assert status == 0
    assert "TensorFlow ModelServer: " in output
    assert "TensorFlow Library: " in output
