"""The server as an object: a repository of models behind gRPC services."""

import argparse
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow.core.protobuf import config_pb2
from tensorflow_serving.config import model_server_config_pb2

from serving.flags import channel_arguments
from serving.model import Retries
from serving.repository import Repository
from serving.servable import load
from serving.services import MODEL_SERVICE, PREDICTION_SERVICE, model_service, prediction_service

_HEALTH_NAMES = ("", "PredictionService", "ModelService", PREDICTION_SERVICE, MODEL_SERVICE)


class ModelServer:
    """A server with one set of flags. `start` returns once the models answer; `stop` drains."""

    def __init__(self, flags: argparse.Namespace) -> None:
        self._flags = flags
        self.repository = _repository(flags)
        self._health = health.HealthServicer()
        self._server = _grpc_server(flags)
        self._server.add_generic_rpc_handlers(
            (
                prediction_service(self.repository, flags.enable_serialization_as_tensor_content),
                model_service(self.repository),
            )
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)

    def start(self) -> int | None:
        """Loads the models, then listens. Returns the TCP port, None when stopped before.

        Raises `ServingError` when a model cannot be loaded, `RuntimeError` when the port is taken.
        """
        if not self.repository.wait_until_available():
            return None
        port = self._listen()
        self._server.start()
        self._set_health(health_pb2.HealthCheckResponse.SERVING)
        self.repository.start(self._flags.file_system_poll_wait_seconds)
        return port

    def stop(self) -> None:
        """Takes no new requests, lets those under way finish, and frees the models."""
        self.repository.stop()
        self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        self._server.stop(self._flags.drain_seconds).wait()

    def _listen(self) -> int:
        if self._flags.grpc_socket_path:
            self._server.add_insecure_port(f"unix:{self._flags.grpc_socket_path}")
            print(f"Running gRPC ModelServer at UNIX socket {self._flags.grpc_socket_path} ...", flush=True)
            if self._flags.port == 0:
                return 0
        port = int(self._server.add_insecure_port(f"0.0.0.0:{self._flags.port}"))
        print(f"Running gRPC ModelServer at 0.0.0.0:{port} ...", flush=True)
        return port

    def _set_health(self, status: int) -> None:
        for name in _HEALTH_NAMES:
            self._health.set(name, status)


def _repository(flags: argparse.Namespace) -> Repository:
    threads = flags.tensorflow_session_parallelism
    config = config_pb2.ConfigProto(
        intra_op_parallelism_threads=flags.tensorflow_intra_op_parallelism or threads,
        inter_op_parallelism_threads=flags.tensorflow_inter_op_parallelism or threads,
    )
    loader = partial(load, tags=flags.saved_model_tags.split(","), config=config)
    retries = Retries(flags.max_num_load_retries, flags.load_retry_interval_micros / 1e6)
    repository = Repository(loader, retries)
    model = model_server_config_pb2.ModelConfig(
        name=flags.model_name, base_path=flags.model_base_path, model_platform="tensorflow"
    )
    repository.configure([model])
    return repository


def _grpc_server(flags: argparse.Namespace) -> grpc.Server:
    options: dict[str, int | str] = {
        "grpc.max_receive_message_length": -1,
        "grpc.max_send_message_length": -1,
        "grpc.so_reuseport": 0,  # a port that is taken is an error, not a coin toss for each connection
        **dict(channel_arguments(flags.grpc_channel_arguments)),
    }
    threads = ThreadPoolExecutor(flags.grpc_max_threads, thread_name_prefix="grpc")
    return grpc.server(threads, options=list(options.items()))
