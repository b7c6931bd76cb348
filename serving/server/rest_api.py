"""REST on aiohttp: predict, metadata and status in TensorFlow Serving's paths and JSON, and the metrics page."""

import argparse
import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
from aiohttp import web
from google.protobuf import json_format
from google.protobuf.message import Message
from prometheus_client import CONTENT_TYPE_LATEST
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2, prediction_log_pb2

from serving.server.calls import Admission, Metrics, ServingError, invalid_argument
from serving.server.predict import (
    DEFAULT_SIGNATURE,
    SIGNATURE_DEF,
    answer,
    find_signature,
    model_metadata,
    model_status,
)
from serving.server.repository import Repository
from serving.server.request_log import RequestLog
from serving.server.tensors import Tensors, fill_proto, inputs_from_json, outputs_to_json, parse_body

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
"""How long a connection whose request was refused may still send the rest of it."""
_MODEL: Final = "/v1/models/{model:[^/:]+}"
_CHOICES: Final = ("", "/versions/{version:[0-9]{1,18}}", "/labels/{label:[^/:]+}")


class RestApi:
    """REST beside gRPC: the same models, slots and metrics. It runs an event loop in a thread of its own.

    Args:
      repository: The models.
      admission: The slots of calls that run a graph.
      metrics: Counts the calls.
      log: Writes a sample of them.
      flags: The server's flags: where it listens and its bounds.
      metrics_path: The path of the Prometheus page; None for no such page.
    """

    def __init__(
        self,
        repository: Repository,
        admission: Admission,
        metrics: Metrics,
        log: RequestLog,
        flags: argparse.Namespace,
        metrics_path: str | None,
    ) -> None:
        self._repository = repository
        self._admission = admission
        self._metrics = metrics
        self._log = log
        self._flags = flags
        self._timeout = flags.rest_api_timeout_in_ms / 1000
        self._threads = ThreadPoolExecutor(flags.rest_max_connections, thread_name_prefix="rest")
        self._loop = asyncio.new_event_loop()
        app = web.Application(client_max_size=flags.max_message_bytes, middlewares=[self._errors])
        for choice in _CHOICES:
            app.router.add_post(f"{_MODEL}{choice}:predict", self._predict)
            app.router.add_get(f"{_MODEL}{choice}", self._status)
            app.router.add_get(f"{_MODEL}{choice}/metadata", self._metadata)
        if metrics_path:
            app.router.add_get(metrics_path, self._page)
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=flags.drain_seconds, lingering_time=_LINGERING_SECONDS
        )
        self._thread = threading.Thread(target=self._loop.run_forever, name="rest-loop", daemon=True)

    def start(self) -> int:
        """Listens; returns the port. Raises `OSError` where it is taken."""
        self._thread.start()
        return asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    def stop(self) -> None:
        """Closes the port and lets requests under way finish within `--drain_seconds`."""
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _listen(self) -> int:
        await self._runner.setup()
        _bound_connections(self._runner.server, self._flags.rest_max_connections)
        await web.TCPSite(self._runner, self._flags.host, self._flags.rest_api_port).start()
        return int(self._runner.addresses[0][1])

    @web.middleware
    async def _errors(self, request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        """Answers errors as JSON, and ends requests that take too long."""
        try:
            async with asyncio.timeout(self._timeout):
                response: web.StreamResponse = await handler(request)
                return response
        except ServingError as error:
            status, message = _STATUS.get(error.code, 500), error.message
        except web.HTTPException as error:
            status, message = error.status, f"{request.method} {request.path}: {error.reason}"
        except TimeoutError:
            status, message = 504, f"the request took longer than {self._timeout:g} s (--rest_api_timeout_in_ms)"
        except Exception as error:
            LOG.exception("A request failed unexpectedly")
            status, message = 500, f"{type(error).__name__}: {error}"
        return web.json_response({"error": message}, status=status)

    async def _predict(self, request: web.Request) -> web.Response:
        body = await request.read()
        is_gone = threading.Event()
        deadline = time.monotonic() + self._timeout

        def is_wanted() -> bool:
            return not is_gone.is_set() and time.monotonic() < deadline

        try:
            text = await self._loop.run_in_executor(self._threads, self._answer, _spec(request), body, is_wanted)
        finally:
            is_gone.set()  # the caller has gone or the deadline has passed: a call that waits for a slot is dropped
        return web.Response(text=text, content_type="application/json")

    def _answer(self, spec: model_pb2.ModelSpec, body: bytes, is_wanted: Callable[[], bool]) -> str:
        name = spec.name if self._repository.is_served(spec.name) else ""
        with self._metrics.measured(name, "REST"), self._admission.slot(is_wanted):
            values = parse_body(body)
            signature_name = values.get("signature_name") or DEFAULT_SIGNATURE
            if not isinstance(signature_name, str):
                raise invalid_argument("`signature_name` should be a string")
            servable = self._repository.servable(spec)
            signature = find_signature(servable, signature_name)
            inputs, by_row = inputs_from_json(values, signature.dtypes)
            outputs = answer(servable, signature, inputs, (), self._flags.max_rows)
            text = outputs_to_json(outputs, by_row)
        self._log.add(servable, signature_name, lambda: _log_of(inputs, outputs))
        return text

    async def _status(self, request: web.Request) -> web.Response:
        status = get_model_status_pb2.GetModelStatusRequest(model_spec=_spec(request))
        return web.json_response(_as_dict(model_status(self._repository, status)))

    async def _metadata(self, request: web.Request) -> web.Response:
        fields = {"model_spec": _spec(request), "metadata_field": [SIGNATURE_DEF]}
        response = model_metadata(self._repository, get_model_metadata_pb2.GetModelMetadataRequest(**fields))
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata[SIGNATURE_DEF].Unpack(signatures)
        metadata = {SIGNATURE_DEF: _as_dict(signatures)}
        return web.json_response({"model_spec": _as_dict(response.model_spec), "metadata": metadata})

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


def _log_of(inputs: Tensors, outputs: Tensors) -> prediction_log_pb2.PredictLog:
    log = prediction_log_pb2.PredictLog()
    for arrays, protos in ((inputs, log.request.inputs), (outputs, log.response.outputs)):
        for name, array in arrays.items():
            fill_proto(array, protos[name])
    return log


def _spec(request: web.Request) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=request.match_info["model"])
    if "version" in request.match_info:
        spec.version.value = int(request.match_info["version"])
    elif "label" in request.match_info:
        spec.version_label = request.match_info["label"]
    return spec


def _as_dict(message: Message) -> dict[str, Any]:
    options = {"preserving_proto_field_name": True, "always_print_fields_with_no_presence": True}
    return dict(json_format.MessageToDict(message, **options))
