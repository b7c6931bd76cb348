"""Model servers as processes that end with a `with` block, and never outlive the process that started them.

`python -m serving.server.process server FLAGS` is `python -m serving.server FLAGS`, and with `run COMMAND` it is any
program; both end when the parent process does, also when that is killed. The parent holds the other end of the child's
standard input, which is closed when the parent ends, whatever ends it. A copy of that end may live on in a process that
the parent had forked, so the child looks at the parent's id too.
"""

import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

Process = subprocess.Popen[bytes]

NO_GPUS: Final = {"CUDA_VISIBLE_DEVICES": "-1"}
"""Variables of a server beside a training or an evaluation, of whose GPUs it would take the memory. (A container of
`docker run` sees a GPU only if it is told to.)"""
_ROOT: Final = Path(__file__).resolve().parents[2]
_LOAD_ONCE: Final = ("--port=0", "--max_num_load_retries=0", "--file_system_poll_wait_seconds=0")
_DRAIN_SECONDS: Final = 10
"""How long a server may take to drain before it is killed."""
_END_SECONDS: Final = 8
"""How long a program may take to end before it is killed; less than the parent waits for it."""
_PARENT_POLL_SECONDS: Final = 1.0
_LONGEST_FOLDER: Final = 70
"""Characters of a folder's path, as the path of a UNIX socket has 107 at most."""
_LISTENING: Final = b"Running gRPC ModelServer at "
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_PR_SET_PDEATHSIG: Final = 1


@contextmanager
def server_process(flags: Sequence[str], log: IO[str], **environment: str) -> Iterator[Process]:
    """Starts a server that loads the present versions once, on a free port, and stops it at the end of the block.

    Its standard output is a pipe without a buffer, because `select` does not see lines that wait in a buffer.

    Args:
      flags: Flags of `serving.server`: the model and further addresses. They are overridden by those of this function.
      log: The file for its standard error.
      **environment: Variables added to those of this process.
    """
    with _child(["server", *flags, *_LOAD_ONCE], subprocess.PIPE, log, environment) as process:
        yield process


@contextmanager
def program_process(command: Sequence[str], log: IO[str], **environment: str) -> Iterator[Process]:
    """Starts any program, whose output goes to `log`, and stops it at the end of the block.

    Args:
      command: The program and its arguments.
      log: An open file or pipe.
      **environment: Variables added to those of this process.
    """
    with _child(["run", *command], log, log, environment) as process:
        yield process


@contextmanager
def socket_folder(prefix: str) -> Iterator[Path]:
    """Makes a private temporary folder whose path is short enough for a UNIX socket."""
    where = tempfile.gettempdir()
    with tempfile.TemporaryDirectory(prefix=prefix, dir=where if len(where) <= _LONGEST_FOLDER else "/tmp") as folder:
        yield Path(folder)


@contextmanager
def _child(
    arguments: Sequence[str], output: IO[str] | int, log: IO[str], environment: dict[str, str]
) -> Iterator[Process]:
    search = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        [sys.executable, "-m", "serving.server.process", *arguments],
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


def wait_for_address(process: Process, timeout: float) -> str:
    """Returns `host:port` or `unix:path` once the server of `server_process` answers.

    Args:
      process: The server.
      timeout: Seconds.

    Raises:
      EOFError: The server ended; its log has the reason.
      TimeoutError: It did not answer in time.
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


def end_process(process: Process, seconds: float = _DRAIN_SECONDS) -> int:
    """Terminates a process, and kills it after so many seconds; returns its exit status."""
    process.terminate()
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    if process.stdin is not None:
        process.stdin.close()
    return process.wait()


def free_port() -> int:
    """Returns a TCP port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _main(kind: str, *arguments: str) -> int:
    """Runs the server or the program to its end; returns its exit status, 128 + N for a program ended by signal N."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # the watching thread must receive none
    if kind == "server":
        _watch_parent(lambda: os._exit(1))
        from serving.server.__main__ import main

        return main(arguments)
    _watch_parent(lambda: os.kill(os.getpid(), signal.SIGTERM))
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def prepare() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        if libc is not None:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    try:
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, preexec_fn=prepare)
    except OSError as error:
        print(f"{arguments[0]}: cannot be run ({error.strerror})", file=sys.stderr)
        return 127
    while process.poll() is None:
        if signal.sigtimedwait(_SIGNALS, 0.05) is not None:
            end_process(process, _END_SECONDS)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def _watch_parent(end: Callable[[], object]) -> None:
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            ready, _, _ = select.select([0], [], [], _PARENT_POLL_SECONDS)
            if ready and not os.read(0, 1024):
                break
        end()

    threading.Thread(target=watch, name="parent", daemon=True).start()


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
