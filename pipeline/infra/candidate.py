"""The candidate model in a server of its own: a process, a free port, a limit on the time it may take."""

import select
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from serving.process import server_process
from serving.server import NOT_STARTED

MODEL_NAME: Final = "candidate"
_LISTENING: Final = b"Running gRPC ModelServer at 0.0.0.0:"


class CandidateError(Exception):
    """The server did not come up with the candidate. The message is one line that says why."""


@contextmanager
def serve_candidate(model_path: str, timeout: float) -> Iterator[str]:
    """The address of an embedded server that answers with the SavedModel in `model_path`, until the block ends.

    `timeout` is in seconds. Raises `CandidateError` when the server ends, or does not answer by then.
    """
    with tempfile.TemporaryDirectory(prefix="candidate-") as folder:
        base_path = Path(folder) / "versions"
        base_path.mkdir()
        (base_path / "1").symlink_to(Path(model_path).absolute(), target_is_directory=True)
        flags = [f"--model_name={MODEL_NAME}", f"--model_base_path={base_path}"]
        with (
            (Path(folder) / "log").open("w+") as log,
            server_process(flags, log, TF_CPP_MIN_LOG_LEVEL="2") as process,
        ):
            yield f"localhost:{_wait_for_port(process, log, timeout)}"


def _wait_for_port(process: "subprocess.Popen[bytes]", log: IO[str], timeout: float) -> int:
    stdout = process.stdout
    end = time.monotonic() + timeout
    while stdout is not None and time.monotonic() < end:
        ready, _, _ = select.select([stdout], [], [], end - time.monotonic())
        line = stdout.readline() if ready else b""
        if line.startswith(_LISTENING):
            return int(line.removeprefix(_LISTENING).split()[0])
        if ready and not line:
            raise CandidateError(f"the server could not load the model: {_last_line(process, log)}")
    raise CandidateError(f"the server did not answer within {timeout:.0f} seconds")


def _last_line(process: "subprocess.Popen[bytes]", log: IO[str]) -> str:
    status = process.wait()
    log.seek(0)
    lines = log.read().strip().splitlines()
    return lines[-1].removeprefix(NOT_STARTED) if lines else f"it ended with status {status}"
