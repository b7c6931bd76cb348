"""TensorFlow Serving as the candidate's server: a binary of this machine, or an image that Docker runs."""

import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from config.serving import InfraConfig
from serving.client import RecommenderClient, RecommenderError
from serving.server.process import free_port, program_process

_LOOK_ONCE: Final = ("--max_num_load_retries=0", "--file_system_poll_wait_seconds=0")
_NOT_STARTED: Final = "Failed to start server. Error: "
_INSIDE: Final = 8500
"""The port in the container."""
_DOCKERS_OWN: Final = (125, 126, 127)
"""Exit codes of `docker run` that are not the server's: no daemon, no such image, no such program in it."""


class CandidateError(Exception):
    """The server did not come up with the candidate. The message is one line that says why."""


class ServerMissingError(Exception):
    """The configured server is not on this machine: no fault of the candidate."""


@contextmanager
def serve_with_tensorflow_serving(
    infra: InfraConfig, model_name: str, base_path: Path, unix_socket: Path, log: IO[str], timeout: float
) -> Iterator[str]:
    """The address of a TensorFlow Serving with the one version in `base_path`, until the block ends.

    Args, raises: as `serve_candidate`; what the server prints goes to `log`. A binary listens on `unix_socket`, a
    container on a port of this machine alone.
    """
    port = free_port() if infra.image else 0
    address = f"localhost:{port}" if infra.image else f"unix:{unix_socket}"
    doors = [f"--port={_INSIDE}"] if infra.image else ["--port=0", f"--grpc_socket_path={unix_socket}"]
    with _running(infra, model_name, base_path, port, doors, log) as process:
        with RecommenderClient(address, model_name, timeout=1.0, attempts=1) as client:
            wait_until_available(process, client, log, timeout, container=infra.image is not None)
        yield address


def wait_until_available(
    process: "subprocess.Popen[bytes]", client: RecommenderClient, log: IO[str], timeout: float, container: bool = False
) -> None:
    """Returns once a version answers.

    Args:
      process: The server, or the `docker run` (`container`) of one.
      client: Asks it.
      log: What it prints to.
      timeout: In seconds.
      container: Whether Docker runs it.

    Raises: as `serve_candidate`.
    """
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if process.poll() in _DOCKERS_OWN and container:
            log.seek(0)
            raise ServerMissingError(f"`serving.infra.image` could not be run: {' '.join(log.read().split())}")
        if process.poll() is not None:
            raise CandidateError(f"the server could not load the model: {last_line(process, log)}")
        if _is_available(client):
            return
        time.sleep(0.1)
    raise CandidateError(f"the server did not answer within {timeout:.0f} seconds")


def last_line(process: "subprocess.Popen[bytes]", log: IO[str]) -> str:
    """What a server that ended, or ends now, said last."""
    status = process.wait()
    log.seek(0)
    lines = log.read().strip().splitlines()
    return lines[-1].removeprefix(_NOT_STARTED) if lines else f"it ended with status {status}"


@contextmanager
def _running(
    infra: InfraConfig, model_name: str, base_path: Path, port: int, doors: Sequence[str], log: IO[str]
) -> Iterator["subprocess.Popen[bytes]"]:
    flags = [f"--model_name={model_name}", *_LOOK_ONCE]
    container = f"infra-validation-{uuid.uuid4().hex[:12]}"
    if infra.image:
        command = _docker(infra.image, container, model_name, base_path, port)
        flags.append(f"--model_base_path=/models/{model_name}")
    else:
        command = [_program(str(infra.binary))]
        flags.append(f"--model_base_path={base_path}")
    try:
        with program_process([*command, *doors, *flags], log) as process:
            yield process
    finally:
        if infra.image:  # the container outlives a client that had to be killed
            subprocess.run([command[0], "rm", "--force", container], capture_output=True, check=False)


def _program(binary: str) -> str:
    found = shutil.which(binary)
    if found is None:
        raise ServerMissingError(
            "`serving.infra.binary` should be TensorFlow Serving's model server, a path or a name on the PATH. "
            f"Not found, or not executable: {binary}"
        )
    return found


def _docker(image: str, container: str, model_name: str, base_path: Path, port: int) -> list[str]:
    """`docker run ... image`, the version mounted read-only; the image's own entry point would add flags of its own."""
    docker = shutil.which("docker")
    if docker is None:
        raise ServerMissingError(
            "`serving.infra.image` needs Docker on the machine that validates; `serving.infra.binary` does not. "
            "Not found: docker"
        )
    version = (base_path / "1").resolve()
    return [
        *(docker, "run", "--rm", "--init", f"--name={container}", f"--publish=127.0.0.1:{port}:{_INSIDE}"),
        *(f"--volume={version}:/models/{model_name}/1:ro", "--entrypoint=tensorflow_model_server", image),
    ]


def _is_available(client: RecommenderClient) -> bool:
    """Whether a version answers. Raises `CandidateError` when it never will."""
    try:
        versions = client.status()
    except RecommenderError:
        return False
    for version in versions:
        if version.error:
            raise CandidateError(f"the server could not load the model: {' '.join(version.error.split())}")
    return any(version.state == "AVAILABLE" for version in versions)
