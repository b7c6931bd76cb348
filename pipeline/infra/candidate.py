"""The candidate model in a server of its own: a process, a free port, a limit on the time it may take."""

import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import serving

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
        with (Path(folder) / "log").open("w+") as log, _process(base_path, log) as process:
            yield f"localhost:{_wait_for_port(process, log, timeout)}"


@contextmanager
def _process(base_path: Path, log: IO[str]) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-m", "serving.server", f"--model_name={MODEL_NAME}", f"--model_base_path={base_path}"]
    command += ["--port=0", "--max_num_load_retries=0", "--file_system_poll_wait_seconds=0"]
    root = str(Path(serving.__file__).parents[1])
    search = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": search, "TF_CPP_MIN_LOG_LEVEL": "2"}
    # Unbuffered: a line that waits in a buffer of this process would be one that `select` does not see.
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, bufsize=0, env=environment)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


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
    return lines[-1].removeprefix("serving.server: ") if lines else f"it ended with status {status}"
