"""The command `serve`, and the embedded server for a single call of `recommend`."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from config import Config, paths
from pipeline.cli.common import CommandError, add_config

_START_SECONDS: Final = 300.0


def add_serve(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `serve`."""
    add_config(parser)
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0: every interface (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8500, help="TCP port; 0: any free one (default: %(default)s)")


def serve(arguments: argparse.Namespace) -> int:
    """Serve the pushed models over gRPC with the embedded model server.

    Newer versions are picked up while it serves. It speaks TensorFlow Serving's interface and takes its directory
    layout.
    """
    from pipeline.checks.configuration import checked_config

    config = checked_config(arguments.config, with_data=False)
    require_pushed(config, arguments.config)
    from serving.server.__main__ import main

    return main([*_server_flags(config), f"--host={arguments.host}", f"--port={arguments.port}"])


def require_pushed(config: Config, path: str) -> None:
    """Checks that a version was pushed and that the newest is whole; a remote folder is left to the server.

    Args:
      config: The configuration.
      path: Its file, for the message.

    Raises:
      CommandError: No version was pushed, or the newest is damaged.
    """
    from pipeline.push.withdraw import version_fault, version_numbers

    folder = paths.serving(config)
    if "://" in folder:
        return
    versions = version_numbers(folder)
    if not versions:
        raise CommandError(f"{folder} holds no model. Make one: `tfx_runner.py run --config {path}`")
    if fault := version_fault(Path(folder) / str(versions[-1])):
        raise CommandError(
            f"version {versions[-1]} is damaged: {fault}. Withdraw it: `tfx_runner.py rollback --config {path}`"
        )


@contextmanager
def embedded_server(config: Config) -> Iterator[str]:
    """Starts a server of the pushed models on a UNIX socket, yields its address and stops it. Raises `CommandError`."""
    from serving.server.process import NO_GPUS, server_process, socket_folder, wait_for_address

    with socket_folder("recommend-") as folder:
        socket, log = folder / "socket", folder / "log"
        # The one call is over before a server would be warm.
        flags = [*_server_flags(config), f"--grpc_socket_path={socket}", "--enable_model_warmup=false"]
        with log.open("w") as errors, server_process(flags, errors, **NO_GPUS) as process:
            try:
                yield wait_for_address(process, _START_SECONDS)
            except EOFError as error:
                last = log.read_text(errors="replace").strip().splitlines()[-1:]
                raise CommandError(f"{error}: {' '.join(last)}") from error
            except TimeoutError as error:
                raise CommandError(str(error)) from error


def _server_flags(config: Config) -> list[str]:
    folder = paths.serving(config)
    base = folder if "://" in folder else str(Path(folder).absolute())
    return [f"--model_name={config.serving.model_name}", f"--model_base_path={base}"]
