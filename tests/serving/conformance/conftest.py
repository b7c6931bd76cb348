"""TensorFlow Serving's contract, asked of any server.

    pytest tests/serving/conformance                                          # the embedded server
    pytest tests/serving/conformance --server-binary=/usr/bin/tensorflow_model_server
    pytest tests/serving/conformance --server-address=HOST:8500 --rest-address=HOST:8501 --models-root=FOLDER

With an address, the models are written to FOLDER, which the server must see under the same path, and are served by
HandleReloadConfigRequest; what needs a server with flags of its own is skipped.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest

from tests.serving.certificates import pems
from tests.serving.conformance import models
from tests.serving.conformance.servers import EMBEDDED, Process, Server, config_text, eventually, free_port

BATCHING = "max_batch_size { value: 4 } batch_timeout_micros { value: 1000 } allowed_batch_sizes: [2, 4]"
OPTIONS = {
    "--server-binary": "a binary that takes TensorFlow Serving's flags",
    "--server-address": "host:port of a running server's gRPC API",
    "--rest-address": "host:port of that server's REST API",
    "--models-root": "folder to write the models to, which that server sees too",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    for name, text in OPTIONS.items():
        parser.addoption(name, help=text)


@dataclass
class Lab:
    """What all tests share: the models, and the processes that start while the first tests run."""

    root: Path
    binary: str
    address: str
    rest_address: str
    processes: list[Process] = field(default_factory=list)

    def start(self, name: str, *flags: str) -> Process:
        """Starts the binary; it is killed at the end."""
        process = Process(self.binary, self.root / f"{name}.log", *flags)
        self.processes.append(process)
        return process

    def need_binary(self) -> None:
        if self.address:
            pytest.skip("needs a server with flags of its own: give --server-binary instead of --server-address")


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    given = {name: request.config.getoption(name, None) for name in OPTIONS}
    root = Path(given["--models-root"] or tmp_path_factory.mktemp("conformance")).absolute()
    lab = Lab(
        root, given["--server-binary"] or EMBEDDED, given["--server-address"] or "", given["--rest-address"] or ""
    )
    models.make(root)
    yield lab
    for process in lab.processes:
        process.kill()


def base_models(root: Path) -> list[dict[str, object]]:
    specific = {"specific": {"versions": [1, 2]}}
    return [
        {"name": "half_plus_two", "base_path": f"{root}/half_plus_two", "model_version_policy": specific},
        {"name": "signatures", "base_path": f"{root}/signatures"},
    ]


@pytest.fixture(scope="session")
def running(lab: Lab, flagged_process: tuple[Server, Process] | None, broken: Process | None) -> Server:
    """The server that most tests share; the others are on their way when it starts."""
    if lab.address:
        server = Server(lab.address, lab.rest_address)
        server.base = base_models(lab.root)
        server.reload()
        return server
    policy = "model_version_policy { specific { versions: 1 versions: 2 } }"
    half = {"name": "half_plus_two", "base_path": f"{lab.root}/half_plus_two", "policy": policy}
    (lab.root / "models").write_text(config_text(half, {"name": "signatures", "base_path": f"{lab.root}/signatures"}))
    (lab.root / "monitoring").write_text("prometheus_config { enable: true }")
    server = Server(f"localhost:{free_port()}", f"localhost:{free_port()}")
    server.process = lab.start(
        "server",
        *ports(server),
        f"--model_config_file={lab.root}/models",
        f"--monitoring_config_file={lab.root}/monitoring",
        f"--grpc_socket_path={lab.root}/socket",
        "--rest_api_timeout_in_ms=2000",
        "--enable_grpc_healthcheck_service=true",
        "--max_num_load_retries=0",
        "--some_flag_that_nobody_knows=1",
        "--rest_api_num_threads",  # a flag only with a value: this one is unknown too
    )
    server.base = base_models(lab.root)
    return server


@pytest.fixture(scope="session")
def server(running: Server) -> Server:
    """TensorFlow Serving opens its doors once one version of every model answers: the other may still be on its way."""
    running.wait()
    eventually(lambda: running.states("half_plus_two") == {1: "AVAILABLE", 2: "AVAILABLE"})
    return running


@pytest.fixture(scope="session")
def flagged_process(lab: Lab) -> tuple[Server, Process] | None:
    """A second server: mutual TLS, batching, a polled config file, checked method names, tensor_content."""
    if lab.address:
        return None
    key, certificate = pems()
    quoted = {"key": _quoted(key), "cert": _quoted(certificate)}
    (lab.root / "ssl").write_text(
        f"server_key: {quoted['key']} server_cert: {quoted['cert']} custom_ca: {quoted['cert']} client_verify: true"
    )
    (lab.root / "batching").write_text(BATCHING)
    (lab.root / "polled").write_text(config_text({"name": "signatures", "base_path": f"{lab.root}/signatures"}))
    server = Server(
        f"localhost:{free_port()}",
        f"localhost:{free_port()}",
        grpc.ssl_channel_credentials(certificate, key, certificate),
    )
    server.process = lab.start(
        "flagged",
        *ports(server),
        f"--ssl_config_file={lab.root}/ssl",
        f"--model_config_file={lab.root}/polled",
        "--model_config_file_poll_wait_seconds=1",
        "--enable_batching",
        f"--batching_parameters_file={lab.root}/batching",
        "--enable_serialization_as_tensor_content=true",
        "--enable_signature_method_name_check=true",
        "--grpc_channel_arguments=grpc.max_connection_age_ms=600000",
        "--tensorflow_session_parallelism=1",
        "--rest_api_enable_cors_support=true",
        "--rest_api_num_threads=3",
        "--flush_filesystem_caches=false",
        "--num_request_iterations_for_warmup=2",
    )
    return server, server.process


@pytest.fixture(scope="session")
def flagged(lab: Lab, running: Server, flagged_process: tuple[Server, Process] | None) -> Server:
    lab.need_binary()
    assert flagged_process is not None
    flagged_process[0].wait()
    return flagged_process[0]


@pytest.fixture(scope="session")
def broken(lab: Lab) -> Process | None:
    """A server whose only model cannot be loaded."""
    if lab.address:
        return None
    base_path = f"--model_base_path={lab.root}/broken"
    return lab.start("broken", f"--port={free_port()}", "--model_name=broken", base_path, "--max_num_load_retries=0")


def ports(server: Server) -> tuple[str, str]:
    return f"--port={server.grpc_address.split(':')[1]}", f"--rest_api_port={server.rest_address.split(':')[1]}"


def _quoted(pem: bytes) -> str:
    return '"' + pem.decode().replace("\n", "\\n") + '"'
