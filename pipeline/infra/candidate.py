"""A server with the candidate model: embedded, or TensorFlow Serving as a binary or an image that Docker runs."""

import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from config.serving import InfraConfig
from serving.client import RecommenderClient, RecommenderError
from serving.server.process import NO_GPUS, free_port, program_process, server_process, socket_folder, wait_for_address

MODEL_NAME: Final = "candidate"

_LOOK_ONCE: Final = ("--max_num_load_retries=0", "--file_system_poll_wait_seconds=0")
_NOT_STARTED: Final = "Failed to start server. Error: "
_CONTAINER_PORT: Final = 8500
_DOCKER_ERRORS: Final = (125, 126, 127)
"""Exit codes of `docker run` that are not the server's: no daemon, no such image, no such program in it."""


class CandidateError(Exception):
    """The server did not come up with the candidate. The message is one line with the reason."""


class ServerMissingError(Exception):
    """The configured server is not on this machine, which is no fault of the candidate."""


@contextmanager
def serve_candidate(model_path: str, infra: InfraConfig, timeout: float) -> Iterator[str]:
    """Serves the SavedModel in `model_path` and yields the server's address.

    The server is the embedded one, or TensorFlow Serving where `infra` names one. It listens on a UNIX socket, or of a
    container on a port of the loopback interface, and ends with the block or with this process.

    Args:
      model_path: A local folder.
      infra: The configured server.
      timeout: Seconds until the server has to answer.

    Raises:
      CandidateError: The server ended, or did not answer in time.
      ServerMissingError: The configured server is not on this machine.
    """
    with socket_folder("candidate-") as folder:
        base_path, socket = folder / "versions", folder / "socket"
        base_path.mkdir()
        (base_path / "1").symlink_to(Path(model_path).absolute(), target_is_directory=True)
        with (folder / "log").open("w+") as log:
            if infra.binary or infra.image:
                with _tensorflow_serving(infra, base_path, socket, log, timeout) as address:
                    yield address
                return
            flags = [f"--model_name={MODEL_NAME}", f"--model_base_path={base_path}", f"--grpc_socket_path={socket}"]
            with server_process(flags, log, TF_CPP_MIN_LOG_LEVEL="2", **NO_GPUS) as process:
                try:
                    address = wait_for_address(process, timeout)
                except EOFError as error:
                    found = _last_line(process, log)
                    raise CandidateError(f"the server could not load the model: {found}") from error
                except TimeoutError as error:
                    raise CandidateError(str(error)) from error
                yield address


@contextmanager
def _tensorflow_serving(
    infra: InfraConfig, base_path: Path, socket: Path, log: IO[str], timeout: float
) -> Iterator[str]:
    """See `serve_candidate`; `base_path` holds the version, and the server prints to `log`."""
    flags = [f"--model_name={MODEL_NAME}", *_LOOK_ONCE]
    if not infra.image:
        program = shutil.which(str(infra.binary))
        if program is None:
            raise ServerMissingError(
                "`serving.infra.binary` should be TensorFlow Serving's model server, a path or a name on the PATH. "
                f"Not found, or not executable: {infra.binary}"
            )
        command = [program, "--port=0", f"--grpc_socket_path={socket}", f"--model_base_path={base_path}", *flags]
        with program_process(command, log, **NO_GPUS) as process:
            with RecommenderClient(f"unix:{socket}", MODEL_NAME, timeout=1.0, attempts=1) as client:
                wait_until_available(process, client, log, timeout)
            yield f"unix:{socket}"
        return
    docker = shutil.which("docker")
    if docker is None:
        raise ServerMissingError(
            "`serving.infra.image` needs Docker on the machine that validates; `serving.infra.binary` does not. "
            "Not found: docker"
        )
    port, container = free_port(), f"infra-validation-{uuid.uuid4().hex[:12]}"
    inside = f"/models/{MODEL_NAME}"
    command = [
        *(docker, "run", "--rm", "--init", f"--name={container}", f"--publish=127.0.0.1:{port}:{_CONTAINER_PORT}"),
        f"--volume={(base_path / '1').resolve()}:{inside}/1:ro",
        # The image's own entry point would add flags.
        *("--entrypoint=tensorflow_model_server", infra.image),
        *(f"--port={_CONTAINER_PORT}", *flags, f"--model_base_path={inside}"),
    ]
    try:
        with program_process(command, log) as process:
            with RecommenderClient(f"localhost:{port}", MODEL_NAME, timeout=1.0, attempts=1) as client:
                wait_until_available(process, client, log, timeout, container=True)
            yield f"localhost:{port}"
    finally:  # the container outlives a client that had to be killed
        subprocess.run([docker, "rm", "--force", container], capture_output=True, check=False)


def wait_until_available(
    process: "subprocess.Popen[bytes]", client: RecommenderClient, log: IO[str], timeout: float, container: bool = False
) -> None:
    """Returns once a version is available.

    Args:
      process: The server, or the `docker run` (`container`) of one.
      client: A client of the server.
      log: The file that the server prints to.
      timeout: Seconds until a version has to be available.
      container: Whether Docker runs the server.

    Raises:
      CandidateError: The server ended, cannot load the model, or did not answer in time.
      ServerMissingError: Docker could not run the image.
    """
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if process.poll() in _DOCKER_ERRORS and container:
            log.seek(0)
            raise ServerMissingError(f"`serving.infra.image` could not be run: {' '.join(log.read().split())}")
        if process.poll() is not None:
            raise CandidateError(f"the server could not load the model: {_last_line(process, log)}")
        try:
            versions = client.status()
        except RecommenderError:
            versions = []
        for version in versions:
            if version.error:
                raise CandidateError(f"the server could not load the model: {' '.join(version.error.split())}")
        if any(version.state == "AVAILABLE" for version in versions):
            return
        time.sleep(0.1)
    raise CandidateError(f"the server did not answer within {timeout:.0f} seconds")


def _last_line(process: "subprocess.Popen[bytes]", log: IO[str]) -> str:
    """Waits for the end of the server and returns the last line that it printed."""
    status = process.wait()
    log.seek(0)
    lines = log.read().strip().splitlines()
    return lines[-1].removeprefix(_NOT_STARTED) if lines else f"it ended with status {status}"
