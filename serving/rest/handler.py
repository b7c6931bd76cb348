"""Paths and methods of the REST API, and its status codes."""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

import grpc
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2, predict_pb2

from serving.api import Api
from serving.errors import ServingError, invalid_argument
from serving.metadata import SIGNATURE_DEF
from serving.predict import DEFAULT_SIGNATURE
from serving.rest import examples, json_text, predictions
from serving.rest.message_json import message_json

LOG = logging.getLogger("serving")

_VERSION: Final = r"(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
_POST: Final = re.compile(rf"/v1/models/(?P<name>[^/:]+){_VERSION}:(?P<method>classify|regress|predict)", re.IGNORECASE)
_GET: Final = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{_VERSION}(?:/(?P<metadata>metadata))?", re.IGNORECASE)
_DIGITS: Final = 19
"""Of the greatest int64; Python refuses to read numbers of thousands."""
_ORIGIN: Final = re.compile("https?://")
_STATUS: Final = {
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}


@dataclass(frozen=True)
class Answer:
    """An HTTP response."""

    status: int
    body: str
    content_type: str = "application/json"
    """Empty for libevent's own."""
    ends: bool = False
    """Whether it is libevent's own, with which the connection ends."""


class _VersionError(ServingError):
    """The path's version is no int64: TensorFlow Serving leaves before it makes the error's JSON."""


class Handler:
    """Answers requests; `metrics_path` is where the Prometheus page is, None for nowhere."""

    def __init__(self, api: Api, metrics_path: str | None) -> None:
        self._api = api
        self._metrics_path = metrics_path

    def answer(self, verb: str, path: str, body: bytes, origin: str = "") -> Answer:
        """The answer to one request; an error is a JSON object with the key `error`, but for `_VersionError`."""
        if re.split("[?#]", path, maxsplit=1)[0] == self._metrics_path:
            return self._metrics(path)
        if not path.lower().startswith("/v1/"):
            return Answer(404, json_text.error_text(f"Not found: {path}"), ends=True)
        if verb == "OPTIONS":
            return Answer(200 if _ORIGIN.search(origin) else 400, "", "")
        try:
            return Answer(200, self._answer(verb, path, body))
        except _VersionError:
            return Answer(400, "")
        except ServingError as error:
            return Answer(_STATUS.get(error.code, 500), json_text.error_text(error.message))
        except Exception as error:
            LOG.exception("A request failed in an unforeseen way")
            return Answer(500, json_text.error_text(f"{type(error).__name__}: {error}"))

    def _metrics(self, path: str) -> Answer:
        if path != self._metrics_path:
            return Answer(400, f"Unexpected path: {path}. Should be {self._metrics_path}", "text/plain")
        return Answer(200, self._api.metrics_page(), "text/plain")

    def _answer(self, verb: str, path: str, body: bytes) -> str:
        match = {"POST": _POST, "GET": _GET}[verb].fullmatch(path) if verb in ("GET", "POST") else None
        method = match["method"] if match and verb == "POST" else ""
        return str(
            self._api.measured(_name(match), method, "REST", lambda: self._found(verb, path, match, method, body))
        )

    def _found(self, verb: str, path: str, match: re.Match[str] | None, method: str, body: bytes) -> str:
        malformed = invalid_argument(f"Malformed request: {verb} {path}")
        if match is None:
            raise malformed
        spec = _spec(match)
        if verb == "GET":
            if not spec.name:
                raise invalid_argument("Missing model name in request.")
            return self._metadata(spec) if match["metadata"] == "metadata" else self._status(spec)
        methods: dict[str, Callable[[model_pb2.ModelSpec, bytes], str]] = {
            "predict": self._predict,
            "classify": self._classify,
            "regress": self._regress,
        }
        if method not in methods:  # the path is of any case, the method is not
            raise malformed
        return methods[method](spec, body)

    def _predict(self, spec: model_pb2.ModelSpec, body: bytes) -> str:
        request = predict_pb2.PredictRequest(model_spec=spec)
        values = json_text.parse_object(body)
        request.model_spec.signature_name = json_text.signature_name(values)
        name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        signature = self._api.repository.servable(request.model_spec).signatures.get(name)
        if signature is None:
            raise invalid_argument(f'Serving signature name: "{name}" not found in signature def')
        form = predictions.fill_request(values, signature, request)
        return predictions.response_json(self._api.predict(request), form)

    def _classify(self, spec: model_pb2.ModelSpec, body: bytes) -> str:
        values = json_text.parse_object(body)
        spec.signature_name = json_text.signature_name(values)
        request = examples.classification_request(values)
        request.model_spec.CopyFrom(spec)
        return examples.classification_json(self._api.classify(request))

    def _regress(self, spec: model_pb2.ModelSpec, body: bytes) -> str:
        values = json_text.parse_object(body)
        spec.signature_name = json_text.signature_name(values)
        request = examples.regression_request(values)
        request.model_spec.CopyFrom(spec)
        return examples.regression_json(self._api.regress(request))

    def _status(self, spec: model_pb2.ModelSpec) -> str:
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=spec)
        return message_json(self._api.get_model_status(request))

    def _metadata(self, spec: model_pb2.ModelSpec) -> str:
        request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec, metadata_field=[SIGNATURE_DEF])
        response = self._api.get_model_metadata(request)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata[SIGNATURE_DEF].Unpack(signatures)
        spec_text, found = message_json(response.model_spec), message_json(signatures)
        return f'{{\n"model_spec":{spec_text},\n"metadata": {{"{SIGNATURE_DEF}": {found}}}\n}}\n'


def _name(match: re.Match[str] | None) -> str:
    return unquote(match["name"] or "") if match else ""


def _spec(match: re.Match[str]) -> model_pb2.ModelSpec:
    """The model and version of the path. Raises `_VersionError`."""
    spec = model_pb2.ModelSpec(name=_name(match))
    if match["version"]:
        digits = match["version"].lstrip("0") or "0"
        if len(digits) > _DIGITS or int(digits) >= 1 << 63:
            raise _VersionError(grpc.StatusCode.INVALID_ARGUMENT, f"Failed to convert version: {digits} to numeric.")
        spec.version.value = int(digits)
    elif match["label"]:
        spec.version_label = unquote(match["label"])
    return spec
