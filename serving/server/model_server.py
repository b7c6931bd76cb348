"""The server as an object: models behind PredictionService, ModelService, grpc.health.v1 and, with its flag, REST."""

import argparse
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
import tensorflow as tf
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2, prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2

from serving.manifest import MANIFEST, manifest_fault
from serving.server.calls import Admission, Metrics, ServingError
from serving.server.flags import UsageError, read_models
from serving.server.predict import model_metadata, model_status, predict
from serving.server.repository import Loader, Repository
from serving.server.request_log import RequestLog
from serving.server.rest_api import RestApi
from serving.server.servable import SMALL, Servable, load, session_config, warmup_requests

LOG = logging.getLogger("serving")

PREDICTION_SERVICE: Final = "tensorflow.serving.PredictionService"
MODEL_SERVICE: Final = "tensorflow.serving.ModelService"
_MAX_DETAILS: Final = 1024
"""The most bytes of an error's text: gRPC carries it in a header, where a byte outside ASCII takes three."""
_THREADS: Final = 1024
"""gRPC gives a call its thread before its message has arrived: slow messages must not hold the threads that answer."""
_CONNECTION_SECONDS: Final = 600
"""After which a client is told to connect again, so that one that only holds calls open does not do so for ever."""
_POLL_SECONDS: Final = 1.0
"""Between two polls until all models answer, where `--file_system_poll_wait_seconds` is 0."""


class ModelServer:
    """A server with one set of flags: `listen` takes the ports, `start` loads the models, `stop` drains.

    Args:
      flags: The result of `serving.server.flags.parse_flags`.
      models: The models to serve.
      credentials: TLS for gRPC; None for none.
      metrics_path: The path of the Prometheus page over REST; None for none.
    """

    def __init__(
        self,
        flags: argparse.Namespace,
        models: Sequence[model_server_config_pb2.ModelConfig],
        credentials: grpc.ServerCredentials | None,
        metrics_path: str | None,
    ) -> None:
        self._flags = flags
        self._credentials = credentials
        self.metrics = Metrics()
        loader, retry_seconds = _loader(flags, is_alone=len(models) == 1), flags.load_retry_interval_micros / 1e6
        self.repository = Repository(loader, flags.max_num_load_retries, retry_seconds)
        self.repository.configure(models)
        self._log = RequestLog(flags, self.metrics)
        self._log.configure(models)
        self._admission = Admission(flags.grpc_max_threads, flags.max_queued_calls)
        self._health = health.HealthServicer()
        self.is_serving = False
        """Whether every model answers."""
        self._set_health(False)
        self._grpc = self._grpc_server()
        calls = (self.repository, self._admission, self.metrics, self._log)
        self._rest = RestApi(*calls, flags, metrics_path) if flags.rest_api_port > 0 else None
        self._poller = threading.Thread(target=self._poll_until_stopped, name="versions", daemon=True)
        self._is_stopped = threading.Event()

    def listen(self) -> list[str]:
        """Takes the ports and answers on them, UNAVAILABLE while a model loads; returns lines with the addresses.

        Raises:
          OSError: A port is taken, naming it.
        """
        flags, lines = self._flags, []
        if flags.grpc_socket_path:
            self._add_port(f"unix:{flags.grpc_socket_path}")
            lines.append(f"Running gRPC ModelServer at unix:{flags.grpc_socket_path} ...")
        if flags.port or not flags.grpc_socket_path:
            port = self._add_port(f"{flags.host}:{flags.port}")
            lines.append(f"Running gRPC ModelServer at {flags.host}:{port} ...")
        if self._rest is not None:
            lines.append(f"Exporting HTTP/REST API at {flags.host}:{self._rest.start()} ...")
        self._grpc.start()
        return lines

    def start(self) -> None:
        """Loads the models in a thread, which looks for newer versions from then on."""
        self._poller.start()

    def stop(self) -> None:
        """Refuses new requests, lets those under way finish and ends; a load under way is not waited for."""
        self._is_stopped.set()
        self._set_health(False)
        ended = self._grpc.stop(self._flags.drain_seconds)
        if self._rest is not None:
            self._rest.stop()
        ended.wait()
        self._log.stop()
        LOG.info("Stopped. Requests answered: %d", self.metrics.answered())

    def configure_again(self) -> None:
        """Serves the models that the model config file lists now; a file that cannot be read changes nothing."""
        try:
            models = read_models(self._flags)
            self.repository.configure(models)
            self._log.configure(models)
        except UsageError as error:
            LOG.error("The model config file is not applied: %s", error)

    def _poll_until_stopped(self) -> None:
        """Brings the models in line with the config file and their folders; health tells whether all answer."""
        seconds = self._flags.file_system_poll_wait_seconds
        while not self._is_stopped.wait(seconds or _POLL_SECONDS) and (seconds or not self.is_serving):
            try:
                self.repository.poll()
                loaded = self.repository.loaded()
                self.is_serving = all(loaded.values())
                self._set_health(self.is_serving)
                self.metrics.set_versions(loaded)
            except Exception:
                # Whatever a broken store or a broken version raises, the next version must still be found.
                LOG.exception("Polling the model folders failed")

    def _set_health(self, is_serving: bool) -> None:
        states = health_pb2.HealthCheckResponse
        for service in ("", PREDICTION_SERVICE, MODEL_SERVICE):
            self._health.set(service, states.SERVING if is_serving else states.NOT_SERVING)

    def _add_port(self, address: str) -> int:
        try:
            if self._credentials is None:
                return int(self._grpc.add_insecure_port(address))
            return int(self._grpc.add_secure_port(address, self._credentials))
        except RuntimeError as error:
            raise OSError(f"cannot listen on {address}: {error}") from error

    def _grpc_server(self) -> grpc.Server:
        options = {
            "grpc.max_receive_message_length": self._flags.max_message_bytes,
            "grpc.max_send_message_length": -1,
            "grpc.so_reuseport": 0,  # a taken port is an error, not a coin toss for each connection
            "grpc.max_connection_age_ms": 1000 * _CONNECTION_SECONDS,
            "grpc.max_connection_age_grace_ms": 1000 * _CONNECTION_SECONDS,
        }
        pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="grpc")
        server = grpc.server(pool, options=list(options.items()), maximum_concurrent_rpcs=_THREADS)
        metadata, status = get_model_metadata_pb2.GetModelMetadataRequest, get_model_status_pb2.GetModelStatusRequest
        predictions = {
            "Predict": _handler(predict_pb2.PredictRequest, self._predict),
            "GetModelMetadata": _handler(metadata, lambda request, _: model_metadata(self.repository, request)),
        }
        models = {"GetModelStatus": _handler(status, lambda request, _: model_status(self.repository, request))}
        server.add_generic_rpc_handlers(
            [
                grpc.method_handlers_generic_handler(PREDICTION_SERVICE, predictions),
                grpc.method_handlers_generic_handler(MODEL_SERVICE, models),
            ]
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        return server

    def _predict(self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext) -> Any:
        name = request.model_spec.name
        measured = self.metrics.measured(name if self.repository.is_served(name) else "", "GRPC")
        with measured, self._admission.slot(context.is_active):
            servable = self.repository.servable(request.model_spec)
            response = predict(servable, request, self._flags.max_rows)
        signature, make_log = response.model_spec.signature_name, prediction_log_pb2.PredictLog
        self._log.add(servable, signature, lambda: make_log(request=request, response=response))
        return response


def _handler(message: Any, function: Callable[[Any, Any], Any]) -> grpc.RpcMethodHandler:
    """Returns a handler of raw bytes: gRPC's own parsing would not report malformed ones as the caller's fault."""

    def handle(data: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            return bytes(function(message.FromString(data), context).SerializeToString())
        except ServingError as error:
            code, details = error.code, error.message
        except DecodeError:
            code, details = grpc.StatusCode.INVALID_ARGUMENT, f"the bytes are not a {message.DESCRIPTOR.full_name}"
        except Exception as error:
            LOG.exception("A request failed unexpectedly")
            code, details = grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}"
        return bytes(context.abort(code, details.encode("utf-8", "replace")[:_MAX_DETAILS].decode("utf-8", "ignore")))

    return grpc.unary_unary_rpc_method_handler(handle)


def _loader(flags: argparse.Namespace, is_alone: bool) -> Loader:
    """Returns what loads and warms up versions.

    Args:
      flags: The server's flags.
      is_alone: Whether there is one model. If it is small, an operation runs in one thread; TensorFlow makes the
        threads once for a process, when it loads the first version.
    """
    threads = flags.tensorflow_intra_op_parallelism or None

    def load_version(name: str, version: int, path: str) -> Servable:
        nonlocal threads
        try:
            if threads is None:
                files = tf.io.gfile.glob(tf.io.gfile.join(path, "variables", "variables.data-*"))
                threads = 1 if is_alone and sum(tf.io.gfile.stat(file).length for file in files) < SMALL else 0
            fault = manifest_fault(path)
            if fault is None:
                LOG.info("%s holds no %s: its files are not checked", path, MANIFEST)
            elif fault:
                message = f"{fault}. Push the model again, or withdraw this version"
                raise ServingError(grpc.StatusCode.DATA_LOSS, message)
            servable = load(name, version, path, session_config(threads, flags.tensorflow_inter_op_parallelism))
            if flags.enable_model_warmup:
                answers = [predict(servable, request, flags.max_rows) for request in warmup_requests(path)]
                LOG.info("Model %s: version %d warmed up with %d requests", name, version, len(answers))
        except (tf.errors.OpError, OSError) as error:
            raise ServingError(grpc.StatusCode.DATA_LOSS, f"{path} cannot be read: {error}") from error
        return servable

    return load_version
