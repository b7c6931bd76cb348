"""The server as an object: a repository of models behind gRPC services and, when asked for, REST."""

import argparse
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from serving import config_files
from serving.api import Api
from serving.errors import ServingError, failed_precondition, invalid_argument
from serving.flags import channel_arguments
from serving.loading import loader
from serving.metrics import REQUEST_COUNT, Metrics
from serving.model import Retries
from serving.options import Options
from serving.reload import apply_config
from serving.repository import Repository
from serving.rest.handler import Handler
from serving.rest.http_server import RestServer
from serving.services import MODEL_SERVICE, PREDICTION_SERVICE, UnknownMethods, model_service, prediction_service

LOG = logging.getLogger("serving")

_THREADS: Final = 1024
"""gRPC gives a call its thread before the message is there: one that comes slowly must not hold what answers others."""
_HEALTH_NAMES: Final = ("", "PredictionService", "ModelService", PREDICTION_SERVICE, MODEL_SERVICE)


class ModelServer:
    """A server with one set of flags. `start` returns once the models answer; `stop` drains."""

    def __init__(self, options: Options) -> None:
        """Raises `ServingError` (INVALID_ARGUMENT) naming what is wrong with the options."""
        self._flags = flags = options.flags
        self._config = options.models
        self._credentials = _credentials(options)
        self._metrics = metrics = Metrics()
        retries = Retries(flags.max_num_load_retries, flags.load_retry_interval_micros / 1e6)
        self.repository = Repository(
            loader(options, metrics), retries, flags.allow_version_labels_for_unavailable_models
        )
        api = Api(self.repository, metrics, flags.enable_serialization_as_tensor_content)
        self._health = health.HealthServicer()
        self._server = _grpc_server(flags)
        self._server.add_generic_rpc_handlers((prediction_service(api, _slots(options)), model_service(api)))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._server.add_generic_rpc_handlers((UnknownMethods(),))
        self._handler = Handler(api, options.metrics_path)
        self._rest: RestServer | None = None
        self._stopped = threading.Event()

    def start(self) -> bool:
        """Loads the models, then listens. False when stopped before.

        Raises `ServingError` when a model cannot be loaded or the gRPC port is taken, `OSError` when the REST port is.
        """
        apply_config(self.repository, self._config, "servable(s)")
        if self.repository.interrupted:
            return False
        self._listen()
        self._server.start()
        self._set_health(health_pb2.HealthCheckResponse.SERVING)
        self.repository.start(self._flags.file_system_poll_wait_seconds)
        if self._flags.model_config_file and self._flags.model_config_file_poll_wait_seconds > 0:
            threading.Thread(target=self._watch_config, name="config", daemon=True).start()
        return True

    def stop(self) -> None:
        """Takes no new requests, lets those under way finish, and frees the models."""
        self._stopped.set()
        self.repository.stop()
        self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        ended = self._server.stop(self._flags.drain_seconds)
        if self._rest is not None:
            self._rest.stop(self._flags.drain_seconds)
        ended.wait()
        LOG.info("Stopped. Requests answered: %d", self._metrics.value(REQUEST_COUNT))

    def _listen(self) -> None:
        flags = self._flags
        if flags.grpc_socket_path:
            self._add_port(f"unix:{flags.grpc_socket_path}")
            print(f"Running gRPC ModelServer at UNIX socket {flags.grpc_socket_path} ...", flush=True)
        if flags.rest_api_port and flags.rest_api_port == flags.port:
            LOG.error(
                "server_options.http_port cannot be same as grpc_port. Please use a different port for HTTP/REST API. "
                "Skipped exporting HTTP/REST API."
            )
        elif flags.rest_api_port:
            self._rest = RestServer(flags, self._handler)
            self._rest.start()
            print(f"Exporting HTTP/REST API at:localhost:{self._rest.port} ...", flush=True)
        if flags.port or not flags.grpc_socket_path:
            port = self._add_port(f"0.0.0.0:{flags.port}")
            print(f"Running gRPC ModelServer at 0.0.0.0:{port} ...", flush=True)

    def _add_port(self, address: str) -> int:
        try:
            if self._credentials is None:
                return int(self._server.add_insecure_port(address))
            return int(self._server.add_secure_port(address, self._credentials))
        except RuntimeError as error:
            raise invalid_argument(f"Failed to BuildAndStart gRPC server: {error}") from error

    def _set_health(self, status: int) -> None:
        for name in _HEALTH_NAMES:
            self._health.set(name, status)

    def _watch_config(self) -> None:
        while not self._stopped.wait(self._flags.model_config_file_poll_wait_seconds):
            try:
                self._read_config_again()
            except ServingError as error:
                LOG.error("The model config file is not applied: %s", error)

    def _read_config_again(self) -> None:
        """Serves what the file lists, also where a caller has set other models since it was read."""
        config = config_files.read_model_config(self._flags.model_config_file)
        if self.repository.is_configured(config.model_config_list.config):
            return
        if config.WhichOneof("config") != "model_config_list":  # such as a file that is being written
            raise failed_precondition(
                "Cannot transition to requested config. It is only legal to transition from one ModelConfigList to "
                "another."
            )
        apply_config(self.repository, config)


def _credentials(options: Options) -> grpc.ServerCredentials | None:
    """TLS from the SSLConfig: with `custom_ca` and `client_verify`, mutual. None without."""
    if options.flags.use_alts_credentials:
        return grpc.alts_server_credentials()
    config: Any = options.ssl
    if config is None:
        return None
    authority = config.custom_ca.encode() or None
    if config.client_verify and authority is None:
        raise invalid_argument("client_verify needs the authority's certificate. Found no custom_ca")
    pair = (config.server_key.encode(), config.server_cert.encode())
    return grpc.ssl_server_credentials([pair], authority, config.client_verify)


def _grpc_server(flags: argparse.Namespace) -> grpc.Server:
    options: dict[str, int | str] = {
        "grpc.max_receive_message_length": -1,
        "grpc.max_send_message_length": -1,
        "grpc.so_reuseport": 0,  # a port that is taken is an error, not a coin toss for each connection
        **dict(channel_arguments(flags.grpc_channel_arguments)),
    }
    return grpc.server(ThreadPoolExecutor(_THREADS, thread_name_prefix="grpc"), options=list(options.items()))


def _slots(options: Options) -> AbstractContextManager[Any]:
    """How many requests are answered at the same time. With batching as many as come: they wait for one another."""
    return nullcontext() if options.batching else threading.Semaphore(max(options.flags.grpc_max_threads, 1))
