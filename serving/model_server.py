"""The server as an object: a repository of models behind gRPC services and, when asked for, REST."""

import argparse
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow.core.protobuf import config_pb2
from tensorflow_serving.config import model_server_config_pb2

from serving import config_files
from serving.api import Api
from serving.batching import BatchingParameters
from serving.errors import ServingError
from serving.flags import channel_arguments
from serving.metrics import BATCH_SIZE, SIZE_BOUNDS, Metrics
from serving.model import Loader, Retries
from serving.reload import apply_config
from serving.repository import Repository
from serving.rest.handler import Handler
from serving.rest.http_server import RestServer
from serving.servable import Servable, load
from serving.services import MODEL_SERVICE, PREDICTION_SERVICE, model_service, prediction_service
from serving.warmup import warm_up

LOG = logging.getLogger("serving")

_HEALTH_NAMES: Final = ("", "PredictionService", "ModelService", PREDICTION_SERVICE, MODEL_SERVICE)


class ModelServer:
    """A server with one set of flags. `start` returns once the models answer; `stop` drains."""

    def __init__(self, flags: argparse.Namespace) -> None:
        """Reads the configuration files. Raises `ServingError` (INVALID_ARGUMENT) naming what is wrong with one."""
        self._flags = flags
        self._config = _model_config(flags)
        self._credentials = _credentials(flags.ssl_config_file)
        metrics = Metrics()
        retries = Retries(flags.max_num_load_retries, flags.load_retry_interval_micros / 1e6)
        self.repository = Repository(
            _loader(flags, metrics), retries, flags.allow_version_labels_for_unavailable_models
        )
        api = Api(self.repository, metrics, flags.enable_serialization_as_tensor_content)
        self._health = health.HealthServicer()
        self._server = _grpc_server(flags)
        self._server.add_generic_rpc_handlers((prediction_service(api), model_service(api)))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._handler = Handler(api, config_files.metrics_path(flags.monitoring_config_file))
        self._rest: RestServer | None = None
        self._stopped = threading.Event()

    def start(self) -> bool:
        """Loads the models, then listens. False when stopped before.

        Raises `ServingError` when a model cannot be loaded, `RuntimeError` or `OSError` when a port is taken.
        """
        apply_config(self.repository, self._config)
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
        if self._rest is not None:
            self._rest.stop()
        self._server.stop(self._flags.drain_seconds).wait()

    def _listen(self) -> None:
        flags = self._flags
        if flags.grpc_socket_path:
            self._add_port(f"unix:{flags.grpc_socket_path}")
            print(f"Running gRPC ModelServer at UNIX socket {flags.grpc_socket_path} ...", flush=True)
        if flags.rest_api_port:
            timeout = flags.rest_api_timeout_in_ms / 1000
            self._rest = RestServer(flags.rest_api_port, self._handler, timeout, flags.rest_api_enable_cors_support)
            self._rest.start()
            print(f"Exporting HTTP/REST API at:0.0.0.0:{self._rest.port} ...", flush=True)
        if flags.port or not flags.grpc_socket_path:
            port = self._add_port(f"0.0.0.0:{flags.port}")
            print(f"Running gRPC ModelServer at 0.0.0.0:{port} ...", flush=True)

    def _add_port(self, address: str) -> int:
        if self._credentials is None:
            return int(self._server.add_insecure_port(address))
        return int(self._server.add_secure_port(address, self._credentials))

    def _set_health(self, status: int) -> None:
        for name in _HEALTH_NAMES:
            self._health.set(name, status)

    def _watch_config(self) -> None:
        while not self._stopped.wait(self._flags.model_config_file_poll_wait_seconds):
            try:
                config = config_files.read_model_config(self._flags.model_config_file)
                if config != self._config:
                    apply_config(self.repository, config)
                    self._config = config
            except ServingError as error:
                LOG.error("The model config file is not applied: %s", error)


def _model_config(flags: argparse.Namespace) -> model_server_config_pb2.ModelServerConfig:
    if flags.model_config_file:
        return config_files.read_model_config(flags.model_config_file)
    config = model_server_config_pb2.ModelServerConfig()
    config.model_config_list.config.add(
        name=flags.model_name, base_path=flags.model_base_path, model_platform="tensorflow"
    )
    return config


def _loader(flags: argparse.Namespace, metrics: Metrics) -> Loader:
    threads = flags.tensorflow_session_parallelism
    session = config_pb2.ConfigProto(
        intra_op_parallelism_threads=flags.tensorflow_intra_op_parallelism or threads,
        inter_op_parallelism_threads=flags.tensorflow_inter_op_parallelism or threads,
    )
    tags = flags.saved_model_tags.split(",")
    batching = config_files.read_batching_parameters(flags.batching_parameters_file)
    parameters = BatchingParameters.from_proto(batching, os.cpu_count() or 1) if flags.enable_batching else None

    def load_version(name: str, version: int, path: str) -> Servable:
        servable = load(name, version, path, tags, session)
        if flags.enable_model_warmup:
            warm_up(servable, path)
        if parameters is not None:
            servable.batch(parameters, _observer(metrics, name))
        return servable

    return load_version


def _observer(metrics: Metrics, name: str) -> Callable[[int], None]:
    return lambda rows: metrics.observe(BATCH_SIZE, SIZE_BOUNDS, rows, model_name=name)


def _credentials(path: str) -> grpc.ServerCredentials | None:
    """TLS from the SSLConfig file: with `custom_ca` and `client_verify`, mutual."""
    if not path:
        return None
    config = config_files.read_ssl_config(path)
    authority = config.custom_ca.encode() or None
    pair = (config.server_key.encode(), config.server_cert.encode())
    return grpc.ssl_server_credentials([pair], authority, config.client_verify)


def _grpc_server(flags: argparse.Namespace) -> grpc.Server:
    options: dict[str, int | str] = {
        "grpc.max_receive_message_length": -1,
        "grpc.max_send_message_length": -1,
        "grpc.so_reuseport": 0,  # a port that is taken is an error, not a coin toss for each connection
        **dict(channel_arguments(flags.grpc_channel_arguments)),
    }
    threads = ThreadPoolExecutor(flags.grpc_max_threads, thread_name_prefix="grpc")
    return grpc.server(threads, options=list(options.items()))
