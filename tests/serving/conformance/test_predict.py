"""PredictionService.Predict: predict_util.cc, predict_impl.cc, server_core.cc."""

from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from tests.serving.conformance.servers import TIMEOUT, Server, failure


def predict_request(model: str, signature: str = "", **inputs: Any) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def ask(server: Server, request: predict_pb2.PredictRequest) -> Any:
    return server.predictions.Predict(request, timeout=TIMEOUT)


def refused(server: Server, request: predict_pb2.PredictRequest) -> tuple[str, str]:
    return failure(lambda: ask(server, request))


def values(response: Any) -> dict[str, Any]:
    return {name: tf.make_ndarray(proto).tolist() for name, proto in response.outputs.items()}


X = np.array([1.0, 2.0], np.float32)


def test_the_default_signature_and_the_newest_version_answer(server: Server) -> None:
    response = ask(server, predict_request("half_plus_two", x=X))
    assert list(response.outputs["y"].float_val) == [2.5, 3.0]
    assert not response.outputs["y"].tensor_content
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("half_plus_two", 2, "serving_default")


def test_a_version_asked_for_answers(server: Server) -> None:
    request = predict_request("half_plus_two", x=X)
    request.model_spec.version.value = 1
    assert ask(server, request).model_spec.version.value == 1


def test_several_inputs_and_types(server: Server) -> None:
    inputs = {"a": np.array([1, 1 << 40], np.int64), "b": np.array([0.5, 0.25], np.float32)}
    response = ask(server, predict_request("signatures", "two_inputs", **inputs))
    assert values(response)["a"] == [1, 1 << 40]
    assert response.outputs["sum"].dtype == tf.float32.as_datatype_enum
    request = predict_request("signatures", "strings", text=["é", ""], raw=[b"\xff\x00", b"x"])
    assert values(ask(server, request)) == {"text": ["é".encode(), b""], "raw_bytes": [b"\xff\x00", b"x"]}
    inputs = {"int32": np.array([-1], np.int32), "uint8": np.array([255], np.uint8), "bool": np.array([True])}
    request = predict_request("signatures", "types", double=np.array([0.1]), **inputs)
    assert values(ask(server, request)) == {"int32": [-1], "uint8": [255], "bool": [True], "double": [0.1]}


def test_numbers_come_in_tensor_content_too(server: Server) -> None:
    request = predict_request("half_plus_two", x=X)
    request.inputs["x"].ClearField("float_val")
    request.inputs["x"].tensor_content = X.tobytes()
    assert values(ask(server, request)) == {"y": [2.5, 3.0]}


def test_strings_come_in_tensor_content_too(server: Server) -> None:
    """tensor_coding.cc: the sizes as varints, then the strings."""
    request = predict_request("signatures", "strings", text=["", ""], raw=[b"\xff", b"x"])
    request.inputs["text"].ClearField("string_val")
    request.inputs["text"].tensor_content = b"\x02\xac\x02ab" + b"c" * 300
    assert values(ask(server, request))["text"] == [b"ab", b"c" * 300]
    request.inputs["text"].tensor_content = b"\x02\x03abcd"
    assert refused(server, request) == ("INVALID_ARGUMENT", "tensor parsing error: text")


def test_fewer_values_than_the_shape_asks_for_are_filled_up_with_the_last(server: Server) -> None:
    request = predict_request("half_plus_two", x=X)
    request.inputs["x"].ClearField("tensor_content")
    request.inputs["x"].float_val[:] = [4.0]
    assert values(ask(server, request)) == {"y": [4.0, 4.0]}


def test_numbers_too_large_for_the_dtype_lose_their_upper_bits(server: Server) -> None:
    """The fields have 32 bits: tensor.cc casts."""
    inputs = {"int32": np.array([1], np.int32), "bool": np.array([True]), "double": np.array([0.5])}
    request = predict_request("signatures", "types", uint8=np.zeros([3], np.uint8), **inputs)
    request.inputs["uint8"].ClearField("tensor_content")
    request.inputs["uint8"].int_val[:] = [255, -1, 70000]
    assert values(ask(server, request))["uint8"] == [255, 255, 112]
    request = predict_request("signatures", "half_precision", h=np.zeros([2], np.float16))
    request.inputs["h"].ClearField("tensor_content")
    request.inputs["h"].half_val[:] = [65536 + 0x3C00, 0x4000]
    assert values(ask(server, request)) == {"h": [1.0, 2.0]}


def test_the_content_of_a_tensor_without_elements_is_not_looked_at(server: Server) -> None:
    request = predict_request("half_plus_two", x=np.zeros([0], np.float32))
    request.inputs["x"].tensor_content = b"whatever"
    assert values(ask(server, request)) == {"y": []}
    request = predict_request("signatures", "strings", text=np.zeros([0], object), raw=[b"x"])
    request.inputs["text"].tensor_content = b"whatever"
    assert values(ask(server, request)) == {"text": [], "raw_bytes": [b"x"]}


def test_a_shape_of_unknown_rank_has_the_dimensions_that_it_lists(server: Server) -> None:
    request = predict_request("half_plus_two", x=X)
    request.inputs["x"].tensor_shape.unknown_rank = True
    assert values(ask(server, request)) == {"y": [2.5, 3.0]}
    request.inputs["x"].tensor_shape.ClearField("dim")
    request.inputs["x"].tensor_content = X[:1].tobytes()
    assert values(ask(server, request)) == {"y": 2.5}


def test_scalars_are_answered(server: Server) -> None:
    request = predict_request("signatures", "strings", text=b"\xff", raw="")
    assert values(ask(server, request)) == {"text": b"\xff", "raw_bytes": b""}
    assert values(ask(server, predict_request("half_plus_two", x=np.float32(1)))) == {"y": 2.5}


def test_an_error_that_quotes_what_is_no_text(server: Server) -> None:
    code, message = refused(server, predict_request("signatures", "classify", inputs=[b"\xff\x00"]))
    assert code == "INVALID_ARGUMENT"
    assert message.startswith("Could not parse example input, value: '")


def test_a_signature_without_an_output(server: Server) -> None:
    """What fills the tables of a model is a signature, whose output is an operation that gives nothing."""
    code, message = refused(server, predict_request("signatures", "__saved_model_init_op"))
    assert code == "OUT_OF_RANGE"
    assert message.startswith("Node 'NoOp' (type: 'NoOp', num of outputs: 0) does not have output 0")


def test_a_message_that_is_none(server: Server) -> None:
    """grpc's proto_utils.h."""
    for method in ("PredictionService/Predict", "PredictionService/Classify", "ModelService/GetModelStatus"):
        call = server.channel.unary_unary(f"/tensorflow.serving.{method}")
        assert failure(lambda call=call: call(b"no message", timeout=TIMEOUT)) == ("INTERNAL", "")  # type: ignore[misc]


def test_an_empty_batch_is_answered(server: Server) -> None:
    assert values(ask(server, predict_request("half_plus_two", x=np.zeros([0], np.float32)))) == {"y": []}


def test_only_what_the_output_filter_names_is_returned(server: Server) -> None:
    request = predict_request("signatures", "uneven", x=X)
    request.output_filter.append("twice")
    assert set(ask(server, request).outputs) == {"twice"}


def _filtered(*names: str, x: Any = X) -> predict_pb2.PredictRequest:
    request = predict_request("signatures", x=x)
    request.output_filter.extend(names)
    return request


def _broken_tensor(**fields: Any) -> predict_pb2.PredictRequest:
    request = predict_request("signatures", x=X)
    for name, value in fields.items():
        setattr(request.inputs["x"], name, value)
    return request


def _versioned(model: str, **choice: Any) -> predict_pb2.PredictRequest:
    request = predict_request(model, x=X)
    if "version" in choice:
        request.model_spec.version.value = choice["version"]
    else:
        request.model_spec.version_label = choice["label"]
    return request


A, B = np.array([1], np.int64), np.array([1.0], np.float32)
REFUSALS = {
    "no model_spec": (predict_pb2.PredictRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
    "no model name": (predict_request("", x=X), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
    "unknown model": (predict_request("none", x=X), "NOT_FOUND", "Servable not found for request: Latest(none)"),
    "unknown version": (
        _versioned("half_plus_two", version=9),
        "NOT_FOUND",
        "Servable not found for request: Specific(half_plus_two, 9)",
    ),
    "a version that the policy leaves out": (
        _versioned("half_plus_two", version=3),
        "NOT_FOUND",
        "Servable not found for request: Specific(half_plus_two, 3)",
    ),
    "unknown version of an unknown model": (
        _versioned("none", version=1),
        "NOT_FOUND",
        "Servable not found for request: Specific(none, 1)",
    ),
    "unknown label": (
        _versioned("half_plus_two", label="best"),
        "INVALID_ARGUMENT",
        "Unrecognized servable version label: best",
    ),
    "label of an unknown model": (
        _versioned("none", label="best"),
        "INVALID_ARGUMENT",
        "Unrecognized servable version label: best",
    ),
    "unknown signature": (
        predict_request("signatures", "none", x=X),
        "FAILED_PRECONDITION",
        'Serving signature key "none" not found.',
    ),
    "no inputs": (
        predict_request("signatures"),
        "INVALID_ARGUMENT",
        "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}.",
    ),
    "one input too many": (
        predict_request("signatures", x=X, z=X),
        "INVALID_ARGUMENT",
        "input size does not match signature: 2!=1 len({x,z}) != len({x}). Sent extra: {z}. Missing but required: {}.",
    ),
    "one input too few": (
        predict_request("signatures", "two_inputs", a=A),
        "INVALID_ARGUMENT",
        "input size does not match signature: 1!=2 len({a}) != len({a,b}). Sent extra: {}. Missing but required: {b}.",
    ),
    "another input": (
        predict_request("signatures", "two_inputs", a=A, c=B),
        "INVALID_ARGUMENT",
        "Signature input alias: b(feed name: two_inputs_b:0) not found in request and no default value provided. "
        "Inputs expected to be in the request {a,c}, or default input alias set: ",
    ),
    "content of another size": (
        _broken_tensor(tensor_content=b"1234567"),
        "INVALID_ARGUMENT",
        "tensor parsing error: x",
    ),
    "no dtype": (_broken_tensor(dtype=0), "INVALID_ARGUMENT", "tensor parsing error: x"),
    "another dtype": (
        predict_request("signatures", x=np.array([1], np.int64)),
        "INVALID_ARGUMENT",
        "Expects arg[0] to be float but int64 is provided",
    ),
    "a string for a number": (
        predict_request("signatures", x=["1"]),
        "INVALID_ARGUMENT",
        "Expects arg[0] to be float but string is provided",
    ),
    "unknown name in the output filter": (
        _filtered("y", "z"),
        "INVALID_ARGUMENT",
        "output tensor alias not found in signature: z Outputs expected to be in the set {y}.",
    ),
    "a name twice in the output filter": (
        _filtered("y", "y"),
        "INVALID_ARGUMENT",
        "duplicate output tensor alias: y",
    ),
    "the inputs come before the output filter": (
        predict_pb2.PredictRequest(
            model_spec=_filtered("z").model_spec, output_filter=["z"], inputs={"q": tf.make_tensor_proto([1.0])}
        ),
        "INVALID_ARGUMENT",
        "Signature input alias: x(feed name: serving_default_x:0) not found in request",
    ),
    "the output filter comes before the dtypes": (
        _filtered("z", x=np.array([1], np.int64)),
        "INVALID_ARGUMENT",
        "output tensor alias not found in signature: z Outputs expected to be in the set {y}.",
    ),
    "the graph's own error": (
        predict_request("signatures", "positive", x=-X),
        "INVALID_ARGUMENT",
        "x is not positive",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_refused(server: Server, case: str) -> None:
    request, code, message = REFUSALS[case]
    found = refused(server, request)
    assert found[0] == code
    assert message in found[1]
    if case != "the graph's own error":
        assert found[1].startswith(message)


@pytest.mark.parametrize("name", ["m" * 2000, "é" * 600, "é" * 490 + "mmm"])
def test_a_long_message_is_cut_after_1024_bytes(server: Server, name: str) -> None:
    """grpc_status_util.cc."""
    message = f"Servable not found for request: Latest(m{name})"
    code, details = refused(server, predict_request(f"m{name}", x=X))
    assert code == "NOT_FOUND"
    whole = message.encode()
    assert details == (message if len(whole) <= 1024 else whole[:1024].decode() + "...TRUNCATED")


def test_bytes_that_are_no_request_are_an_internal_error(server: Server) -> None:
    call = server.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    assert failure(lambda: call(b"\xff\xff\xff", timeout=TIMEOUT))[0] == "INTERNAL"


def test_a_method_that_there_is_not_is_unimplemented(server: Server) -> None:
    call = server.channel.unary_unary("/tensorflow.serving.PredictionService/Divine")
    assert failure(lambda: call(b"", timeout=TIMEOUT))[0] == "UNIMPLEMENTED"


def test_messages_larger_than_grpcs_four_megabytes_go_both_ways(server: Server) -> None:
    """server.cc sets the largest size that there is."""
    x = np.arange(3_000_000, dtype=np.float32)
    response = ask(server, predict_request("half_plus_two", x=x))
    np.testing.assert_array_equal(tf.make_ndarray(response.outputs["y"])[-2:], x[-2:] / 2 + 2)


def test_a_deadline_is_kept_and_the_server_goes_on(server: Server) -> None:
    request = predict_request("signatures", "slow", seconds=np.float64(1.0))
    code, _ = failure(lambda: server.predictions.Predict(request, timeout=0.2))
    assert code == "DEADLINE_EXCEEDED"
    assert values(ask(server, predict_request("half_plus_two", x=X))) == {"y": [2.5, 3.0]}


def test_a_cancelled_call_ends_and_the_server_goes_on(server: Server) -> None:
    request = predict_request("signatures", "slow", seconds=np.float64(0.5))
    call = server.predictions.Predict.future(request, timeout=TIMEOUT)
    call.cancel()
    with pytest.raises(grpc.FutureCancelledError):
        call.result()
    assert values(ask(server, predict_request("half_plus_two", x=X))) == {"y": [2.5, 3.0]}
