"""The server as an object: a repository of models behind gRPC and, when asked for, REST."""

import argparse
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import grpc
import tensorflow as tf
from grpc_health.v1 import health, health_pb2_grpc
from tensorflow_serving.config import model_server_config_pb2

from serving.manifest import MANIFEST, manifest_fault
from serving.server.admission import Admission
from serving.server.errors import ServingError
from serving.server.flags import UsageError, read_models
from serving.server.grpc_api import services, set_health
from serving.server.metrics import Metrics
from serving.server.predict import predict
from serving.server.repository import Loader, Poller, Repository, Retries
from serving.server.rest_api import RestApi, RestOptions
from serving.server.servable import SMALL, Servable, load, session_config, variable_bytes, warmup_requests

LOG = logging.getLogger("serving")

_THREADS: Final = 1024
"""gRPC gives a call its thread before the message is there: one that comes slowly must not hold what answers others."""
_CONNECTION_SECONDS: Final = 600
"""After which a connection is asked to be made anew, so that one that only holds calls open does not do so for ever."""
_LOOKS: Final = 1.0
"""Seconds between two looks at models that do not answer yet, where versions are looked for once."""


class ModelServer:
    """A server with one set of flags.

    `listen` takes the ports, `start` loads the models beside the requests, `stop` drains.

    Args:
      flags: As `serving.server.flags.parse_flags` gives them.
      models: What to serve.
      credentials: TLS for gRPC; None for none.
      metrics_path: Of the Prometheus page over REST; None for none.
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
        retries = Retries(flags.max_num_load_retries, flags.load_retry_interval_micros / 1e6)
        self.repository = Repository(_loader(flags, models), retries)
        self.repository.configure(models)
        admission = Admission(flags.grpc_max_threads, flags.max_queued_calls)
        self._health = health.HealthServicer()
        set_health(self._health, False)
        self._grpc = _grpc_server(flags.max_message_bytes)
        self._grpc.add_generic_rpc_handlers(services(self.repository, admission, self.metrics, flags.max_rows))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        rest = RestOptions(
            host=flags.host,
            port=flags.rest_api_port,
            timeout=flags.rest_api_timeout_in_ms / 1000,
            max_bytes=flags.max_message_bytes,
            max_connections=flags.rest_max_connections,
            metrics_path=metrics_path,
            drain_seconds=flags.drain_seconds,
        )
        has_rest = flags.rest_api_port > 0
        self._rest = RestApi(self.repository, admission, self.metrics, flags.max_rows, rest) if has_rest else None
        self._poller = Poller(self.poll, flags.file_system_poll_wait_seconds or _LOOKS)
        self.is_serving = False
        """Whether every model answers."""

    def listen(self) -> list[str]:
        """Takes the ports and answers on them, UNAVAILABLE while a model loads; returns lines that say where.

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
        """Loads the models in a thread, and looks for newer versions from then on."""
        self._poller.start()

    def stop(self) -> None:
        """Takes no new requests, lets those under way finish and ends."""
        self._poller.stop()
        set_health(self._health, False)
        ended = self._grpc.stop(self._flags.drain_seconds)
        if self._rest is not None:
            self._rest.stop()
        ended.wait()
        LOG.info("Stopped. Requests answered: %d", self.metrics.answered())

    def poll(self) -> None:
        """Brings the models in line with the config file and their folders; health says whether all answer."""
        if self.is_serving and not self._flags.file_system_poll_wait_seconds:
            return
        self.repository.poll()
        loaded = self.repository.loaded()
        self.is_serving = all(loaded.values())
        set_health(self._health, self.is_serving)
        self.metrics.set_versions(loaded)

    def configure_again(self) -> None:
        """Serves what the model config file lists now; a file that cannot be read changes nothing."""
        try:
            self.repository.configure(read_models(self._flags))
        except UsageError as error:
            LOG.error("The model config file is not applied: %s", error)

    def _add_port(self, address: str) -> int:
        try:
            if self._credentials is None:
                return int(self._grpc.add_insecure_port(address))
            return int(self._grpc.add_secure_port(address, self._credentials))
        except RuntimeError as error:
            raise OSError(f"cannot listen on {address}: {error}") from error


def _loader(flags: argparse.Namespace, models: Sequence[model_server_config_pb2.ModelConfig]) -> Loader:
    """Loads and warms up versions. How many threads an operation has is known when TensorFlow loads the first."""
    threads = flags.tensorflow_intra_op_parallelism or None

    def load_version(name: str, version: int, path: str) -> Servable:
        nonlocal threads
        if threads is None:
            threads = 1 if len(models) == 1 and variable_bytes(path) < SMALL else 0
        _check_files(path)
        servable = load(name, version, path, session_config(threads, flags.tensorflow_inter_op_parallelism))
        if flags.enable_model_warmup:
            count = 0
            for request in warmup_requests(path):
                predict(servable, request, flags.max_rows)
                count += 1
            LOG.info("Model %s: version %d warmed up with %d requests", name, version, count)
        return servable

    def load_any(name: str, version: int, path: str) -> Servable:
        try:
            return load_version(name, version, path)
        except (tf.errors.OpError, OSError) as error:
            raise ServingError(grpc.StatusCode.DATA_LOSS, f"{path} cannot be read: {error}") from error

    return load_any


def _check_files(path: str) -> None:
    """Raises `ServingError` (DATA_LOSS) where a file of the version is not what was pushed."""
    fault = manifest_fault(path)
    if fault is None:
        LOG.info("%s holds no %s: its files are taken as they are", path, MANIFEST)
    elif fault:
        raise ServingError(grpc.StatusCode.DATA_LOSS, f"{fault}. Push the model again, or withdraw this version")


def _grpc_server(max_message_bytes: int) -> grpc.Server:
    options = {
        "grpc.max_receive_message_length": max_message_bytes,
        "grpc.max_send_message_length": -1,
        "grpc.so_reuseport": 0,  # a port that is taken is an error, not a coin toss for each connection
        "grpc.max_connection_age_ms": 1000 * _CONNECTION_SECONDS,
        "grpc.max_connection_age_grace_ms": 1000 * _CONNECTION_SECONDS,
    }
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="grpc")
    return grpc.server(pool, options=list(options.items()), maximum_concurrent_rpcs=_THREADS)
