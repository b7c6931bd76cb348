"""The embedded model server for one call, where no server answers."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.cli.exits import CommandError
from pipeline.cli.serve import server_flags
from pipeline.config import Config

START_SECONDS = 120
_ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def embedded_server(config: Config) -> Iterator[str]:
    """Starts a server of the pushed models on a UNIX socket, yields its address and stops it. Raises `CommandError`."""
    with tempfile.TemporaryDirectory() as folder:
        socket, log = Path(folder) / "socket", Path(folder) / "log"
        command = [sys.executable, "-m", "serving.server", *server_flags(config), "--port=0"]
        with log.open("wb") as errors:
            process = subprocess.Popen(
                [*command, f"--grpc_socket_path={socket}"],
                cwd=_ROOT,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        try:
            _wait(process, log)
            yield f"unix:{socket}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def _wait(process: subprocess.Popen[bytes], log: Path) -> None:
    """Returns at the server's first line, which says where it listens."""
    assert process.stdout is not None
    if process.stdout.readline():
        return
    process.wait()
    last = log.read_text(errors="replace").strip().splitlines()[-1:]
    raise CommandError(f"the model server ended with code {process.returncode}: {' '.join(last)}")
