"""The embedded model server for one call, where no server answers."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.cli.exits import CommandError
from pipeline.cli.serve import server_flags
from pipeline.config import Config
from serving.server.process import server_process, socket_folder


@contextmanager
def embedded_server(config: Config) -> Iterator[str]:
    """Starts a server of the pushed models on a UNIX socket, yields its address and stops it. Raises `CommandError`."""
    with socket_folder("recommend-") as folder:
        socket, log = folder / "socket", folder / "log"
        # The one call is over before a server would be warm.
        flags = [*server_flags(config), f"--grpc_socket_path={socket}", "--enable_model_warmup=false"]
        with log.open("w") as errors, server_process(flags, errors) as process:
            _wait(process, log)
            yield f"unix:{socket}"


def _wait(process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Returns at the server's first line, which says where it listens; raises `CommandError` when it ends instead."""
    if process.stdout is not None and process.stdout.readline():
        return
    code = process.wait()
    last = log.read_text(errors="replace").strip().splitlines()[-1:]
    raise CommandError(f"the model server ended with code {code}: {' '.join(last)}")
