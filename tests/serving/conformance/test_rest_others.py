"""The rest of REST: classify, regress, status, metadata, paths and methods."""

import socket
from typing import Any
from urllib.request import urlopen

import pytest

from tests.serving.conformance.servers import Server

SIGNATURES = "/v1/models/signatures"
OK = {"error_code": "OK", "error_message": ""}


def test_classify(server: Server) -> None:
    body = {"signature_name": "classify", "examples": [{"x": 1.5}, {"x": [-2.0]}]}
    status, text, _ = server.rest(f"{SIGNATURES}:classify", body)
    assert status == 200
    rows = '[["plus", 1.5], ["minus", -1.5]], [["minus", -2.0], ["plus", 2.0]]'
    assert text == f'{{\n    "results": [{rows}\n    ]\n}}'
    body = {"signature_name": "classify_scores", "examples": [{"x": 0.2}]}
    assert server.json(f"{SIGNATURES}/versions/1:classify", body) == {"results": [[["", 0.2]]]}


def test_regress(server: Server) -> None:
    body = {"signature_name": "regress", "examples": [{"x": 2.0}, {"x": 0.4}]}
    status, text, _ = server.rest(f"{SIGNATURES}:regress", body)
    assert (status, text) == (200, '{\n    "results": [3.0, 2.2]\n}')


def test_a_context_is_merged_into_every_example(server: Server) -> None:
    body = {"signature_name": "regress", "context": {"x": 8.0}, "examples": [{}, {"x": 2.0}]}
    assert server.json(f"{SIGNATURES}:regress", body) == {"results": [6.0, 3.0]}


def test_other_features_of_every_kind_do_no_harm(server: Server) -> None:
    example = {"x": 2.0, "b": True, "i": [1, 2], "s": ["a", {"b64": "eA=="}], "f": 1e3, "none": []}
    body = {"signature_name": "regress", "examples": [example]}
    assert server.json(f"{SIGNATURES}:regress", body) == {"results": [3.0]}
    raw = b'{"signature_name": "regress", "examples": [{"x": 2.0, "b": "\xff"}]}'
    assert server.json(f"{SIGNATURES}:regress", raw) == {"results": [3.0]}


def test_the_name_of_a_feature_ends_at_a_nul(server: Server) -> None:
    """json_tensor.cc: MakeExampleFromJsonObject."""
    body = {"signature_name": "regress", "examples": [{"x": 1, "x\0y": 2.0}]}
    assert server.json(f"{SIGNATURES}:regress", body) == {"results": [3.0]}


WRONG = "has element with unexpected JSON type: "
REFUSALS: dict[str, tuple[Any, str]] = {
    "nothing": (b"", "JSON Parse error: The document is empty"),
    "no examples": (
        {"a": 1},
        "JSON Value: {\n    \"a\": 1\n} When method is classify, key 'examples' is expected and was not found",
    ),
    "examples that are no list": ({"examples": 1}, "Expecting 'examples' value to be an list/array"),
    "an empty list": ({"examples": []}, "'examples' value is an empty array"),
    "an example that is none": ({"examples": [[]]}, "Example must be JSON object but got JSON Array"),
    "a context that is none": ({"context": 1, "examples": [{}]}, "Example must be JSON object but got JSON Number"),
    "null": ({"examples": [{"x": None}]}, f"Feature: x {WRONG}Null"),
    "an object": ({"examples": [{"x": {"a": 1}}]}, f"Feature: x {WRONG}Object"),
    "a list in a list": ({"examples": [{"x": [[1]]}]}, f"Feature: x {WRONG}Array"),
    "mixed numbers": (
        {"examples": [{"x": [1, 2.0]}]},
        "Unexpected element type in feature: x expecting type: int64",
    ),
    "mixed kinds": (
        {"examples": [{"x": [1.5, "a"]}]},
        "Unexpected element type in feature: x expecting type: float",
    ),
    "too large": (
        {"examples": [{"x": 1 << 63}]},
        "Feature: x has uint64_t element. Only int64_t is supported.",
    ),
    "another kind comes before too large": (
        {"examples": [{"x": [1.5, 1 << 63]}]},
        "Unexpected element type in feature: x expecting type: float",
    ),
    "another kind comes before no base64": (
        {"examples": [{"x": [1, {"b64": "?"}]}]},
        "Unexpected element type in feature: x expecting type: int64",
    ),
    "no base64": ({"examples": [{"x": {"b64": "?"}}]}, "Unable to base64 decode"),
    "a signature name that is none": (
        {"signature_name": 1, "examples": [{}]},
        "'signature_name' key must be a string value.",
    ),
    "an unknown signature": (
        {"signature_name": "none", "examples": [{"x": 1.0}]},
        "No signature was found with the name: none",
    ),
    "a signature of another kind": ({"examples": [{"x": 1.0}]}, "inputs found in SignatureDef: "),
}


@pytest.mark.parametrize("method", ["classify", "regress"])
@pytest.mark.parametrize("case", REFUSALS)
def test_bad_examples(server: Server, case: str, method: str) -> None:
    body, message = REFUSALS[case]
    status, error = server.error(f"{SIGNATURES}:{method}", body)
    assert status == 400
    assert message in error


def test_an_unknown_model(server: Server) -> None:
    expected = (404, "Servable not found for request: Latest(none)")
    assert server.error("/v1/models/none:classify", {"examples": [{}]}) == expected
    assert server.error("/v1/models/none:regress", {"examples": [{}]}) == expected
    assert server.error("/v1/models/none/metadata") == expected
    assert server.error("/v1/models/none") == (404, "Could not find any versions of model none")
    assert server.error(f"{SIGNATURES}/versions/9") == (404, "Could not find version 9 of model signatures")


def test_status(server: Server) -> None:
    versions = [{"version": v, "state": "AVAILABLE", "status": OK} for v in ("2", "1")]
    assert server.json("/v1/models/half_plus_two") == {"model_version_status": versions}
    assert server.json("/v1/models/half_plus_two/versions/1") == {"model_version_status": versions[1:]}
    _, text, headers = server.rest("/v1/models/half_plus_two/versions/1")
    assert headers["content-type"].startswith("application/json")
    assert text.startswith('{\n "model_version_status": [\n  {\n   "version": "1",\n   "state": "AVAILABLE",\n')


def test_metadata(server: Server) -> None:
    found = server.json("/v1/models/half_plus_two/versions/1/metadata")
    assert found["model_spec"] == {"name": "half_plus_two", "signature_name": "", "version": "1"}
    assert list(found["metadata"]) == ["signature_def"]
    assert list(found["metadata"]["signature_def"]) == ["signature_def"]
    signature = found["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    expected = {
        "dtype": "DT_FLOAT",
        "name": "serving_default_x:0",
        "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
    }
    assert signature["inputs"] == {"x": expected}
    signatures = server.json(f"{SIGNATURES}/metadata")["metadata"]["signature_def"]["signature_def"]
    assert list(signatures["no_inputs"])[:3] == ["inputs", "outputs", "method_name"]  # by number: unparser.cc


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/models/signatures"),
        ("POST", "/v1/models/signatures:divine"),
        ("POST", "/v1/models/signatures/versions/x:predict"),
        ("POST", "/v1/models/signatures/labels/:predict"),
        ("POST", "/v1/models:predict"),
        ("POST", "/v1/models/signatures:predict?a=b"),
        ("GET", "/v1/models/signatures/metadata?a=b"),
        ("GET", "/v1/models/signatures:predict"),
        ("GET", "/v1/models/signatures/versions/x"),
        ("GET", "/v1/models/signatures/metadata/more"),
        ("GET", "/v1/nothing"),
        ("PUT", "/v1/models/signatures"),
        ("DELETE", "/v1/models/signatures"),
        ("PATCH", "/v1/models/signatures:predict"),
    ],
)
def test_malformed_requests(server: Server, method: str, path: str) -> None:
    status, error = server.error(path, None if method in ("GET", "DELETE") else b"{}", method)
    assert (status, error) == (400, f"Malformed request: {method} {path}")


def test_errors_are_pretty_json(server: Server) -> None:
    status, text, headers = server.rest("/v1/nothing")
    assert (status, text) == (400, '{\n    "error": "Malformed request: GET /v1/nothing"\n}')
    assert headers["content-type"].startswith("application/json")


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/versions/1"])
def test_a_model_name_is_required(server: Server, path: str) -> None:
    assert server.error(path) == (400, "Missing model name in request.")


@pytest.mark.parametrize("path", ["/", "/index.html", "/v2/models/signatures"])
def test_other_paths_are_not_found(server: Server, path: str) -> None:
    assert server.rest(path)[0] == 404


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/v1/models/signatures", 200),
        ("http://example.org/v1/models/signatures", 200),
        ("https://user:word@[::1]:1/v1/models/signatures", 200),
        ("http:/v1/models/signatures", 200),
        ("///v1/models/signatures", 200),
        ("//v1/models/signatures", 404),
        ("http://example.org", 404),
        ("http://example.org//v1/models/signatures", 404),
        ("v1/models/signatures", 404),
        ("/v1/models/sig|natures", 400),
        ("/v1/models/sig%natures", 400),
        ("//a|b/v1/models/signatures", 400),
        ("http://example.org:x/v1/models/signatures", 400),
        ("/v1/models signatures", 400),
    ],
)
def test_a_target_is_a_uri_of_which_the_path_counts(server: Server, target: str, status: int) -> None:
    """evhttp_request.cc: ParsedEvRequest; libevent's http.c: evhttp_uri_parse."""
    ((found, _, _),) = server.talk(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n")
    assert found == status


@pytest.mark.parametrize(
    ("version", "asked", "answered", "stays"),
    [
        ("1.1", None, None, True),
        ("1.1", "keep-alive", None, True),
        ("1.1", "Close", "close", False),
        ("1.0", None, None, False),
        ("1.0", "close", "close", False),
        ("1.0", "Keep-Alive", "keep-alive", True),
        ("1.0", "keep-alive, TE", "keep-alive", True),
    ],
)
def test_version_and_connection_of_an_answer(
    server: Server, version: str, asked: str | None, answered: str | None, stays: bool
) -> None:
    """libevent's http.c: evhttp_make_header_response, evhttp_send_done."""
    header = "" if asked is None else f"Connection: {asked}\r\n"
    answers = server.talk(*[f"GET {SIGNATURES} HTTP/{version}\r\n{header}\r\n"] * 2)
    assert len(answers) == 1 + stays
    for status, found, headers in answers:
        assert (status, found, headers.get("connection")) == (200, version, answered)
        assert "server" not in headers
        assert "date" in headers or version == "1.0"


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET /others HTTP/1.1", 404),
        ("GET /others HTTP/1.0", 404),
        (f"GET {SIGNATURES}| HTTP/1.0", 400),
        ("GET /others HTTP/x", 400),
        ("TRACE /others HTTP/1.1", 501),
    ],
)
def test_what_no_handler_is_for_ends_the_connection(server: Server, line: str, status: int) -> None:
    """libevent's http.c: evhttp_send_page_."""
    answers = server.talk(*[f"{line}\r\nConnection: keep-alive\r\n\r\n"] * 2)
    ((found, version, headers),) = answers
    assert (found, version, headers["connection"]) == (status, "1.1", "close")
    assert "server" not in headers


def test_a_preflight_needs_an_origin(server: Server) -> None:
    """http_server.cc: OPTIONS is answered whatever the path names."""
    path = "/v1/models/signatures:predict"
    assert server.rest(path, method="OPTIONS", headers={"Origin": "https://example.org"})[:2] == (200, "")
    assert server.rest(path, method="OPTIONS")[:2] == (400, "")


def test_ipv6(server: Server) -> None:
    """evhttp_server.cc: listens to "::"."""
    if server.process is None:
        pytest.skip("needs a server on this machine: give --server-binary instead of --server-address")
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("needs a machine with IPv6")
    with urlopen(f"http://[::1]:{server.rest_address.rpartition(':')[2]}{SIGNATURES}") as answer:
        assert answer.status == 200


def test_a_query_is_part_of_the_path(server: Server) -> None:
    """evhttp_request.cc: uri_path() holds the query; http_rest_api_util.cc matches it as part of the name."""
    assert server.error("/v1/models/none?a=b") == (404, "Could not find any versions of model none?a=b")


def test_metrics(server: Server) -> None:
    """prometheus_exporter.cc; --monitoring_config_file."""
    path = "/monitoring/prometheus/metrics"
    if server.process is None and server.rest(path)[0] == 404:
        pytest.skip("needs --monitoring_config_file: give --server-binary instead of --server-address")
    server.json(f"{SIGNATURES}:predict", {"instances": [1.0]})
    server.error(f"{SIGNATURES}:predict", {"signature_name": "none", "instances": [1.0]})
    status, page, headers = server.rest(path)
    assert status == 200
    assert headers["content-type"].startswith("text/plain")
    lines = page.splitlines()
    count, latency = ":tensorflow:serving:request_count", ":tensorflow:serving:request_latency"
    assert f"# TYPE {count} counter" in lines
    assert f"# TYPE {latency} histogram" in lines
    assert any(line.startswith(f'{count}{{model_name="signatures",status="OK"}} ') for line in lines)
    assert any(line.startswith(f'{count}{{model_name="signatures",status="INVALID_ARGUMENT"}} ') for line in lines)
    labels = 'model_name="signatures",API="predict",entrypoint="REST"'
    buckets = [line for line in lines if line.startswith(f"{latency}_bucket{{{labels}")]
    assert buckets[0].startswith(f'{latency}_bucket{{{labels},le="10"}} ')
    assert len(buckets) == 34
    (total,) = (line for line in lines if line.startswith(f"{latency}_count{{{labels}}} "))
    assert buckets[-1] == f'{latency}_bucket{{{labels},le="+Inf"}} {total.split()[-1]}'
    assert any(line.startswith(f"{latency}_sum{{{labels}}} ") for line in lines)
    runtime = ":tensorflow:serving:runtime_latency"  # util.cc
    assert f"# TYPE {runtime} histogram" in lines
    labels = f'{runtime}_bucket{{model_name="signatures",API="Predict",runtime="TF1",le="10"}} '
    assert any(line.startswith(labels) for line in lines)
    status, text, headers = server.rest(f"{path}?a=b")  # http_server.cc: ProcessPrometheusRequest
    assert (status, text) == (400, f"Unexpected path: {path}?a=b. Should be {path}")
    assert headers["content-type"].startswith("text/plain")
    ((status, _, _),) = server.talk(f"GET {path}#a HTTP/1.1\r\n\r\n")
    assert status == 400
