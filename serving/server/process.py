"""Model servers as processes that live as long as a `with` block, and never longer than this process."""

import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

_ROOT: Final = Path(__file__).resolve().parents[2]
_LOOK_ONCE: Final = ("--port=0", "--max_num_load_retries=0", "--file_system_poll_wait_seconds=0")
_PATIENCE: Final = 10
"""Seconds that a server may take to drain before it is killed."""
_LONGEST_FOLDER: Final = 70
"""Characters: the path of a UNIX socket has 107 at most."""
_LISTENING: Final = b"Running gRPC ModelServer at "


@contextmanager
def server_process(flags: Sequence[str], log: IO[str], **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Starts a server on a free port that loads what is there now, and stops it at the end of the block.

    Its standard output is a pipe without a buffer: a line that waits in a buffer of this process would be one that
    `select` does not see.

    Args:
      flags: Of `serving.server`: the model, and where it listens besides. They count before those of this function.
      log: What gets its standard error.
      **environment: Variables added to this process's own.
    """
    with _child(["server", *flags, *_LOOK_ONCE], subprocess.PIPE, log, environment) as process:
        yield process


@contextmanager
def program_process(command: Sequence[str], log: IO[str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Starts any program, whose output goes to `log`, and stops it at the end of the block."""
    with _child(["run", *command], log, log, {}) as process:
        yield process


@contextmanager
def socket_folder(prefix: str) -> Iterator[Path]:
    """A temporary folder whose path is short enough for a UNIX socket, and which nobody else can look into."""
    where = tempfile.gettempdir()
    with tempfile.TemporaryDirectory(prefix=prefix, dir=where if len(where) <= _LONGEST_FOLDER else "/tmp") as folder:
        yield Path(folder)


@contextmanager
def _child(
    arguments: Sequence[str], output: IO[str] | int, log: IO[str], environment: dict[str, str]
) -> Iterator["subprocess.Popen[bytes]"]:
    search = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        [sys.executable, "-m", "serving.server.child", *arguments],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=log,
        bufsize=0,
        env={**os.environ, "PYTHONPATH": search, **environment},
    )
    try:
        yield process
    finally:
        end_process(process)


def wait_for_address(process: "subprocess.Popen[bytes]", timeout: float) -> str:
    """Returns `host:port` once the server of `server_process` answers.

    Raises:
      EOFError: The server ended before; its log says why.
      TimeoutError: It did not answer within so many seconds.
    """
    end = time.monotonic() + timeout
    while process.stdout is not None and (left := end - time.monotonic()) > 0:
        ready, _, _ = select.select([process.stdout], [], [], left)
        line = process.stdout.readline() if ready else b""
        if line.startswith(_LISTENING):
            return line.removeprefix(_LISTENING).split(b" ...")[0].decode()
        if ready and not line:
            raise EOFError(f"the server ended with code {process.wait()}")
    raise TimeoutError(f"the server did not answer within {timeout:.0f} seconds")


def end_process(process: "subprocess.Popen[bytes]") -> None:
    """Asks the process to end, and kills it where it does not in time."""
    process.terminate()
    try:
        process.wait(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdin is not None:
        process.stdin.close()


def free_port() -> int:
    """Returns a TCP port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
