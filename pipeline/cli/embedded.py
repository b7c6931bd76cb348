"""The embedded model server for one call, where no server answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from config import Config
from pipeline.cli.exits import CommandError
from pipeline.cli.serve import server_flags
from serving.server.process import server_process, socket_folder, wait_for_address

_START_SECONDS: Final = 300.0


@contextmanager
def embedded_server(config: Config) -> Iterator[str]:
    """Starts a server of the pushed models on a UNIX socket, yields its address and stops it. Raises `CommandError`."""
    with socket_folder("recommend-") as folder:
        socket, log = folder / "socket", folder / "log"
        # The one call is over before a server would be warm.
        flags = [*server_flags(config), f"--grpc_socket_path={socket}", "--enable_model_warmup=false"]
        with log.open("w") as errors, server_process(flags, errors) as process:
            try:
                yield wait_for_address(process, _START_SECONDS)
            except EOFError as error:
                last = log.read_text(errors="replace").strip().splitlines()[-1:]
                raise CommandError(f"{error}: {' '.join(last)}") from error
            except TimeoutError as error:
                raise CommandError(str(error)) from error
