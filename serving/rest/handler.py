"""Paths and methods of the REST API, and its status codes."""

import json
import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

import grpc
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from serving.api import Api
from serving.errors import ServingError, invalid_argument
from serving.metadata import SIGNATURE_DEF
from serving.predict import DEFAULT_SIGNATURE
from serving.rest import examples, json_tensors

_NAME: Final = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_POST: Final = re.compile(_NAME + r":(?P<method>classify|regress|predict)", re.IGNORECASE)
_GET: Final = re.compile(_NAME + r"(?P<metadata>/metadata)?", re.IGNORECASE)
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


class Handler:
    """Answers requests; `metrics_path` is where the Prometheus page is, None for nowhere."""

    def __init__(self, api: Api, metrics_path: str | None) -> None:
        self._api = api
        self._metrics_path = metrics_path

    def answer(self, verb: str, path: str, body: bytes) -> Answer:
        """The answer to one request; an error is a JSON object with the key `error`."""
        path = path.partition("?")[0]
        if verb == "GET" and path == self._metrics_path:
            return Answer(200, self._api.metrics_page(), "text/plain")
        if not path.lower().startswith("/v1/"):
            return Answer(404, json.dumps({"error": f"Not found: {path}"}))
        try:
            return Answer(200, self._answer(verb, path, body))
        except ServingError as error:
            return Answer(_STATUS.get(error.code, 500), json.dumps({"error": error.message}, ensure_ascii=False))

    def _answer(self, verb: str, path: str, body: bytes) -> str:
        match = (_POST if verb == "POST" else _GET).fullmatch(path) if verb in ("GET", "POST") else None
        if match is None:
            raise invalid_argument(f"Malformed request: {verb} {path}")
        if verb == "POST":
            return getattr(self, f"_{match['method'].lower()}")(match, json_tensors.parse_body(body))
        return self._metadata(match) if match["metadata"] else self._status(match)

    def _predict(self, match: re.Match[str], values: dict[str, Any]) -> str:
        request = predict_pb2.PredictRequest()
        _fill_spec(request.model_spec, match, values)
        name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        signature = self._api.repository.servable(request.model_spec).signatures.get(name)
        if signature is None:
            raise invalid_argument(f'Serving signature name: "{name}" not found in signature def')
        form = json_tensors.fill_request(values, signature, request)
        return json_tensors.response_json(self._api.predict(request, "REST"), form)

    def _classify(self, match: re.Match[str], values: dict[str, Any]) -> str:
        request = examples.classification_request(values)
        _fill_spec(request.model_spec, match, values)
        return examples.classification_json(self._api.classify(request, "REST"))

    def _regress(self, match: re.Match[str], values: dict[str, Any]) -> str:
        request = examples.regression_request(values)
        _fill_spec(request.model_spec, match, values)
        return examples.regression_json(self._api.regress(request, "REST"))

    def _status(self, match: re.Match[str]) -> str:
        request = get_model_status_pb2.GetModelStatusRequest()
        _fill_spec(request.model_spec, match, {})
        return json_tensors.message_json(self._api.get_model_status(request))

    def _metadata(self, match: re.Match[str]) -> str:
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=[SIGNATURE_DEF])
        _fill_spec(request.model_spec, match, {})
        return json_tensors.message_json(self._api.get_model_metadata(request))


def _fill_spec(spec: Any, match: re.Match[str], values: dict[str, Any]) -> None:
    spec.name = unquote(match["name"])
    spec.signature_name = values.get("signature_name", "")
    if match["version"]:
        if int(match["version"]) >= 1 << 63:
            raise invalid_argument(f"Failed to convert version: {match['version']} to numeric.")
        spec.version.value = int(match["version"])
    elif match["label"]:
        spec.version_label = unquote(match["label"])
