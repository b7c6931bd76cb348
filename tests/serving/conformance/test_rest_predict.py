"""POST :predict: http_rest_api_handler.cc, json_tensor.cc and its test."""

import gzip
import json
import socket
from typing import Any

import pytest

from tests.serving.conformance.servers import Server

HALF = "/v1/models/half_plus_two"
PREDICT = "/v1/models/signatures:predict"


@pytest.mark.parametrize(
    "body", [b'{"instances": [1, 2.0]}', b' \n{"instances": [1, 2.0]} and more', b'{"inputs": [1, 2]}']
)
def test_row_and_column_form(server: Server, body: bytes) -> None:
    """A document ends where its object ends: what follows is not read."""
    key = "outputs" if b"inputs" in body else "predictions"
    assert server.json(f"{HALF}:predict", body) == {key: [2.5, 3.0]}


@pytest.mark.parametrize("path", ["/versions/1", "/VERSIONS/2", "/versions/002", f"/versions/{2:030}"])
def test_a_version_in_the_path(server: Server, path: str) -> None:
    assert server.json(f"{HALF}{path}:predict", {"instances": [1.0]}) == {"predictions": [2.5]}


@pytest.mark.parametrize("name", ["half%5Fplus_two", "half_plus_two"])
def test_the_name_is_unescaped_and_the_path_is_of_any_case_but_for_the_method(server: Server, name: str) -> None:
    assert server.json(f"/V1/Models/{name}:predict", {"instances": [1.0]}) == {"predictions": [2.5]}
    path = f"/v1/models/{name}:Predict"
    assert server.error(path, {"instances": [1.0]}) == (400, f"Malformed request: POST {path}")


def test_rows_are_objects_where_there_are_several_tensors(server: Server) -> None:
    rows = {"signature_name": "two_inputs", "instances": [{"a": 1, "b": 0.5}, {"b": 2, "a": 3}]}
    assert server.json(PREDICT, rows) == {"predictions": [{"a": 1, "sum": 1.5}, {"a": 3, "sum": 5.0}]}
    columns = {"signature_name": "two_inputs", "inputs": {"a": [1, 3], "b": [0.5, 2], "unknown": []}}
    assert server.json(PREDICT, columns) == {"outputs": {"a": [1, 3], "sum": [1.5, 5.0]}}


def test_rows_may_be_objects_where_there_is_one_tensor(server: Server) -> None:
    assert server.json(PREDICT, {"instances": [{"x": 1.0}, {"x": 2.0}]}) == {"predictions": [2.5, 3.0]}
    assert server.json(PREDICT, {"inputs": {"x": [1.0]}}) == {"outputs": [2.5]}


def test_bytes_are_base64_and_come_back_so_where_the_name_says_bytes(server: Server) -> None:
    rows = [{"text": 'é"\n', "raw": {"b64": "/wA="}}, {"text": {"b64": "eA"}, "raw": ""}]
    expected = [{"text": 'é"\n', "raw_bytes": {"b64": "/wA="}}, {"text": "x", "raw_bytes": {"b64": ""}}]
    assert server.json(PREDICT, {"signature_name": "strings", "instances": rows}) == {"predictions": expected}
    columns = {"text": ["a"], "raw": [{"b64": "/w=="}]}
    found = server.json(PREDICT, {"signature_name": "strings", "inputs": columns})
    assert found == {"outputs": {"text": ["a"], "raw_bytes": [{"b64": "/w=="}]}}


def test_strings_need_not_be_utf8(server: Server) -> None:
    body = b'{"signature_name": "strings", "inputs": {"text": ["\xff"], "raw": ["\xfe"]}}'
    status, text, _ = server.rest(PREDICT, body)
    assert status == 200
    assert json.loads(text)["outputs"] == {"text": ["\udcff"], "raw_bytes": [{"b64": "/g=="}]}
    status, error = server.error(PREDICT, b'{"signature_name": "\xff", "inputs": [1]}')
    assert status == 400
    assert error.endswith("not found in signature def")


def test_every_type_and_matrices(server: Server) -> None:
    rows = [{"int32": -1, "uint8": 255, "bool": True, "double": 0.1}]
    assert server.json(PREDICT, {"signature_name": "types", "instances": rows}) == {"predictions": rows}
    body = {"signature_name": "matrix", "instances": [[1, 2], [3, 4.5]]}
    assert server.json(PREDICT, body) == {"predictions": [[2.0, 4.0], [6.0, 9.0]]}
    assert server.json(PREDICT, {"signature_name": "matrix", "instances": [[], []]}) == {"predictions": [[], []]}


def test_a_scalar_in_column_form(server: Server) -> None:
    assert server.json(PREDICT, {"signature_name": "total", "inputs": [1.0, 2.0]}) == {"outputs": 3.0}
    assert server.json(PREDICT, {"signature_name": "slow", "inputs": 0.0})["outputs"] >= 0


@pytest.mark.parametrize("name", ["as_complex", "half_precision"])
def test_a_tensor_without_values_is_of_any_type(server: Server, name: str) -> None:
    assert server.json(PREDICT, {"signature_name": name, "inputs": []}) == {"outputs": []}


def test_a_body_in_chunks_and_a_compressed_one(server: Server) -> None:
    """evhttp_request.cc."""
    host, _, port = server.rest_address.rpartition(":")
    with socket.create_connection((host, int(port)), 20) as client:
        head = f"POST {HALF}:predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.sendall(head.encode() + b'7\r\n{"insta\r\nd\r\nnces": [1.0]}\r\n0\r\n\r\n')
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"2.5" in answer
    body = gzip.compress(b'{"instances": [1.0]}')
    status, text, _ = server.rest(f"{HALF}:predict", body, headers={"Content-Encoding": "gzip"})
    assert (status, json.loads(text)) == (200, {"predictions": [2.5]})


def test_a_caller_that_waits_for_100_continue_gets_it_before_it_sends_the_body(server: Server) -> None:
    """libevent's http.c: evhttp_get_body."""
    host, _, port = server.rest_address.rpartition(":")
    body = b'{"instances": [1.0]}'
    with socket.create_connection((host, int(port)), 20) as client:
        head = f"POST {HALF}:predict HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {len(body)}"
        client.sendall(f"{head}\r\n\r\n".encode())
        assert client.recv(4096).startswith(b"HTTP/1.1 100")
        client.sendall(body)
        assert client.recv(4096).startswith(b"HTTP/1.1 200")


PACKED = gzip.compress(b'{"instances": [1.0]}')


@pytest.mark.parametrize(
    "body",
    [b'{"instances": [1.0]}', PACKED[:-1], PACKED + b"\0", PACKED + PACKED],
    ids=["no gzip", "cut", "more", "two"],
)
def test_a_body_that_is_not_compressed_as_it_says_counts_as_none(server: Server, body: bytes) -> None:
    """evhttp_request.cc, gzip_zlib.cc."""
    status, text, _ = server.rest(f"{HALF}:predict", body, headers={"Content-Encoding": "gzip"})
    assert (status, json.loads(text)) == (400, {"error": "JSON Parse error: The document is empty"})


INSTANCES = "Failed to process element: {} of 'instances' list. Error: INVALID_ARGUMENT: "
KEYED = "Failed to process element: {} key: {} of 'instances' list. Error: INVALID_ARGUMENT: "
TWO = {"signature_name": "two_inputs"}
STRINGS = {"signature_name": "strings"}
MATRIX = {"signature_name": "matrix"}
REFUSALS: dict[str, tuple[Any, str]] = {
    "nothing": (b"", "JSON Parse error: The document is empty"),
    "no object": ([1, 2], "JSON Value: [1, 2] Is not object"),
    "a signature name that is none": (
        {"signature_name": 5, "inputs": [1]},
        "not formatted correctly. 'signature_name' key must be a string value.",
    ),
    "an unknown signature": (
        {"signature_name": "none", "inputs": [1]},
        'Serving signature name: "none" not found in signature def',
    ),
    "a signature without inputs": (
        {"signature_name": "no_inputs", "inputs": []},
        "Failed to get input map for signature: no_inputs",
    ),
    "no instances and no inputs": ({"rows": [1]}, "Missing 'inputs' or 'instances' key"),
    "both": (
        {"inputs": [1], "instances": [1]},
        'JSON Value: {\n    "inputs": [1],\n    "instances": [1]\n} Not formatted correctly expecting only one of '
        "'inputs' or 'instances' keys to exist ",
    ),
    "instances that are no list": (
        {"instances": 1},
        "JSON Value: {\n    \"instances\": 1\n} Expecting 'instances' to be an list/array",
    ),
    "no instance": ({"instances": []}, "JSON Value: {\n    \"instances\": []\n} No values in 'instances' array"),
    "a string for a number": (
        {"instances": ["1"]},
        INSTANCES.format(0) + 'JSON Value: "1" Type: String is not of expected type: float',
    ),
    "a boolean for a number": (
        {"instances": [1.0, True]},
        INSTANCES.format(1) + "JSON Value: true Type: True is not of expected type: float",
    ),
    "null for a number": (
        {"instances": [None]},
        INSTANCES.format(0) + "JSON Value: null Type: Null is not of expected type: float",
    ),
    "a decimal for an integer": (
        TWO | {"inputs": {"a": [1.0], "b": [1]}},
        "JSON Value: 1.0 Type: Number is not of expected type: int64",
    ),
    "an object for a number": (
        TWO | {"inputs": {"a": [{"b64": "eA=="}], "b": [1]}},
        "Type: Object is not of expected type: int64",
    ),
    "a number for a string": (
        STRINGS | {"inputs": {"text": [1], "raw": ["x"]}},
        "JSON Value: 1 Type: Number is not of expected type: string",
    ),
    "no base64": (STRINGS | {"inputs": {"text": [{"b64": "?"}], "raw": ["x"]}}, "Unable to base64 decode"),
    "an object that is no base64": (
        STRINGS | {"inputs": {"text": [{"b32": "x"}], "raw": ["x"]}},
        "not formatted correctly for base64 data",
    ),
    "rows of unequal sizes": (
        MATRIX | {"instances": [[1, 2], [3]]},
        INSTANCES.format(1) + "Expecting tensor size: 2 but got: 1",
    ),
    "rows of unequal shapes": (
        MATRIX | {"instances": [[1, 2], [[3, 4]]]},
        INSTANCES.format(1) + "Expecting shape [2] but got: [1,2]",
    ),
    "lists of unequal sizes inside a row": (
        MATRIX | {"instances": [[[1, 2], [3]]]},
        INSTANCES.format(0) + "Encountered list at unexpected size: 1 at level: 1 expected size: 2",
    ),
    "a list among numbers": (
        MATRIX | {"inputs": [1, [2]]},
        "Encountered list at unexpected level: 1 expected < 1",
    ),
    "a number among lists": (
        MATRIX | {"inputs": [[1], 2]},
        "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
    ),
    "plain rows for two tensors": (
        TWO | {"instances": [1, 2]},
        "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
        "tensorinfo_map",
    ),
    "a plain list for two tensors": (
        TWO | {"inputs": [1, 2]},
        "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
        "tensorinfo_map",
    ),
    "a row with a key too few": (
        TWO | {"instances": [{"a": 1}]},
        "Failed to process element: 0 of 'instances' list. JSON object: {\n    \"a\": 1\n} keys must be equal to: a,b",
    ),
    "a row with an unknown key": (
        TWO | {"instances": [{"a": 1, "z": 1}]},
        KEYED.format(0, "z") + "JSON object: does not have named input: z",
    ),
    "a wrong value in a row": (
        TWO | {"instances": [{"a": 1, "b": 1}, {"a": "1", "b": 1}]},
        KEYED.format(1, "a") + 'JSON Value: "1" Type: String is not of expected type: int64',
    ),
    "a list among objects": (
        {"instances": [{"x": 1}, 2]},
        "Expecting object but got list at item 1 of input list",
    ),
    "an object among values": (
        {"instances": [1, {"x": 1}]},
        "Expecting value/list but got object at item 1 of input list",
    ),
    "a column too few": (TWO | {"inputs": {"a": [1]}}, "Missing named input: b in 'inputs' object."),
    "an output without rows": (
        {"signature_name": "total", "instances": [1.0]},
        "Tensor name: total has no shape information ",
    ),
    "outputs of unequal rows": ({"signature_name": "uneven", "instances": [1.0]}, "has inconsistent batch size: "),
    "an output that JSON has no form for": (
        {"signature_name": "as_complex", "inputs": [1.0]},
        "Failed to write JSON value for tensor type: complex64",
    ),
    "the graph's own error": ({"signature_name": "positive", "inputs": [-1.0]}, "x is not positive"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_bad_requests(server: Server, case: str) -> None:
    body, message = REFUSALS[case]
    status, error = server.error(PREDICT, body)
    assert status == 400
    assert message in error


def test_a_type_that_json_has_no_form_for_is_not_implemented(server: Server) -> None:
    status, error = server.error(PREDICT, {"signature_name": "half_precision", "inputs": [1.0]})
    assert (status, error) == (501, "Conversion of JSON Value: 1.0 to type: half")


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/v1/models/none:predict", 404, "Servable not found for request: Latest(none)"),
        (f"{HALF}/versions/9:predict", 404, "Servable not found for request: Specific(half_plus_two, 9)"),
        (f"{HALF}/labels/best:predict", 400, "Unrecognized servable version label: best"),
    ],
)
def test_models_and_versions_that_there_are_not(server: Server, path: str, status: int, message: str) -> None:
    assert server.error(path, {"instances": [1.0]}) == (status, message)


def test_the_body_is_read_before_the_model_is_looked_for(server: Server) -> None:
    assert server.error("/v1/models/none:predict", b"") == (400, "JSON Parse error: The document is empty")


@pytest.mark.parametrize("version", [str(1 << 63), "9" * 20, "9" * 5000])
@pytest.mark.parametrize("rest", [":predict", ":classify", ":regress", ":Predict", "", "/metadata"])
def test_a_version_that_is_no_number_of_64_bits_is_refused_before_the_body_is_read(
    server: Server, version: str, rest: str
) -> None:
    """http_rest_api_handler.cc: ParseModelInfo fails before the error's JSON is made."""
    status, text, headers = server.rest(f"{HALF}/versions/{version}{rest}", b"<" if ":" in rest else None)
    assert (status, text, headers["content-length"]) == (400, "", "0")
    assert headers["content-type"].startswith("application/json")


def test_a_request_that_takes_too_long_is_a_gateway_timeout(server: Server) -> None:
    """--rest_api_timeout_in_ms=2000."""
    if server.process is None:
        pytest.skip("needs --rest_api_timeout_in_ms=2000: give --server-binary instead of --server-address")
    assert server.error(PREDICT, {"signature_name": "slow", "inputs": 2.5})[0] == 504
