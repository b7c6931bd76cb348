"""REST on aiohttp: predict, metadata and status in TensorFlow Serving's paths and JSON, and the metrics page."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import grpc
from aiohttp import web
from google.protobuf import json_format
from google.protobuf.message import Message
from prometheus_client import CONTENT_TYPE_LATEST
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2

from serving.server.admission import Admission
from serving.server.errors import ServingError, invalid_argument
from serving.server.json_tensors import answer_body, parse_body, read_inputs
from serving.server.metrics import Metrics
from serving.server.predict import (
    DEFAULT_SIGNATURE,
    SIGNATURE_DEF,
    answer,
    find_signature,
    model_metadata,
    model_status,
)
from serving.server.repository import Repository

LOG = logging.getLogger("serving")

_STATUS: Final = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
_LINGERING_SECONDS: Final = 1.0
"""That a connection whose request was refused may still send what is left of it."""
_VERSION: Final = r"versions/{version:[0-9]{1,18}}"
_LABEL: Final = "labels/{label:[^/:]+}"
_MODEL: Final = "/v1/models/{model:[^/:]+}"


@dataclass(frozen=True)
class RestOptions:
    """What the flags say of REST.

    Attributes:
      host: The address to listen on.
      port: 0 for any free one.
      timeout: Seconds that a request may take from its first byte to its answer.
      max_bytes: Of a body.
      max_connections: At the same time; one more is closed at once.
      metrics_path: Of the Prometheus page; None for none.
      drain_seconds: That requests under way may take when the server stops.
    """

    host: str
    port: int
    timeout: float
    max_bytes: int
    max_connections: int
    metrics_path: str | None
    drain_seconds: float


class RestApi:
    """REST beside gRPC: the same models, slots and metrics. It runs an event loop in a thread of its own."""

    def __init__(
        self, repository: Repository, admission: Admission, metrics: Metrics, max_rows: int, options: RestOptions
    ) -> None:
        self._repository = repository
        self._admission = admission
        self._metrics = metrics
        self._max_rows = max_rows
        self._options = options
        self._threads = ThreadPoolExecutor(options.max_connections, thread_name_prefix="rest")
        self._loop = asyncio.new_event_loop()
        app = self._app()
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=options.drain_seconds, lingering_time=_LINGERING_SECONDS
        )
        self._thread = threading.Thread(target=self._loop.run_forever, name="rest-loop", daemon=True)

    def start(self) -> int:
        """Listens; returns the port. Raises `OSError` where it is taken."""
        self._thread.start()
        return asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    def stop(self) -> None:
        """Takes no new connection and lets requests under way finish, in the time that the options allow."""
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _listen(self) -> int:
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._options.host, self._options.port)
        _bound_connections(self._runner.server, self._options.max_connections)
        await site.start()
        return int(self._runner.addresses[0][1])

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=self._options.max_bytes, middlewares=[self._errors])
        for choice in ("", f"/{_VERSION}", f"/{_LABEL}"):
            app.router.add_post(f"{_MODEL}{choice}:predict", self._predict)
            app.router.add_get(f"{_MODEL}{choice}", self._status)
            app.router.add_get(f"{_MODEL}{choice}/metadata", self._metadata)
        if self._options.metrics_path:
            app.router.add_get(self._options.metrics_path, self._page)
        return app

    @web.middleware
    async def _errors(self, request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        """Turns errors into JSON, and ends requests that take too long."""
        try:
            async with asyncio.timeout(self._options.timeout):
                response: web.StreamResponse = await handler(request)
                return response
        except ServingError as error:
            return _error(_STATUS.get(error.code, 500), error.message)
        except web.HTTPException as error:
            return _error(error.status, f"{request.method} {request.path}: {error.reason}")
        except TimeoutError:
            return _error(504, f"the request took longer than {self._options.timeout:g} s (--rest_api_timeout_in_ms)")
        except Exception as error:
            LOG.exception("A request failed in an unforeseen way")
            return _error(500, f"{type(error).__name__}: {error}")

    async def _predict(self, request: web.Request) -> web.Response:
        body = await request.read()
        is_gone = threading.Event()
        deadline = time.monotonic() + self._options.timeout
        try:
            text = await self._loop.run_in_executor(
                self._threads,
                self._answer,
                _spec(request),
                body,
                lambda: not is_gone.is_set() and time.monotonic() < deadline,
            )
        finally:
            is_gone.set()  # the caller, or the time, has gone: what still waits for a slot is dropped
        return web.Response(text=text, content_type="application/json")

    def _answer(self, spec: model_pb2.ModelSpec, body: bytes, is_wanted: Callable[[], bool]) -> str:
        name = spec.name if self._repository.is_served(spec.name) else ""
        with self._metrics.measured(name, "Predict", "REST"), self._admission.slot(is_wanted):
            values = parse_body(body)
            signature_name = values.get("signature_name") or DEFAULT_SIGNATURE
            if not isinstance(signature_name, str):
                raise invalid_argument("`signature_name` should be a string")
            servable = self._repository.servable(spec)
            signature = find_signature(servable, signature_name)
            inputs, by_row = read_inputs(values, signature)
            return answer_body(answer(servable, signature, inputs, (), self._max_rows), by_row)

    async def _status(self, request: web.Request) -> web.Response:
        asked = get_model_status_pb2.GetModelStatusRequest(model_spec=self._resolved(_spec(request)))
        return web.json_response(_as_dict(model_status(self._repository, asked)))

    async def _metadata(self, request: web.Request) -> web.Response:
        asked = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=_spec(request), metadata_field=[SIGNATURE_DEF]
        )
        response = model_metadata(self._repository, asked)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata[SIGNATURE_DEF].Unpack(signatures)
        metadata = {SIGNATURE_DEF: _as_dict(signatures)}
        return web.json_response({"model_spec": _as_dict(response.model_spec), "metadata": metadata})

    def _resolved(self, spec: model_pb2.ModelSpec) -> model_pb2.ModelSpec:
        """The spec with a version instead of a label."""
        if spec.WhichOneof("version_choice") == "version_label":
            spec.version.value = self._repository.model(spec.name).labelled(spec.version_label)
        return spec

    async def _page(self, request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.page(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _bound_connections(server: Any, limit: int) -> None:
    """Makes aiohttp's server close a connection beyond `limit` as soon as it is made: aiohttp has no such bound."""
    made = server.connection_made

    def bounded(handler: Any, transport: asyncio.Transport) -> None:
        made(handler, transport)
        if len(server.connections) > limit:
            transport.close()

    server.connection_made = bounded


def _spec(request: web.Request) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=request.match_info["model"])
    if "version" in request.match_info:
        spec.version.value = int(request.match_info["version"])
    elif "label" in request.match_info:
        spec.version_label = request.match_info["label"]
    return spec


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)


def _as_dict(message: Message) -> dict[str, Any]:
    fields = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return dict(fields)
