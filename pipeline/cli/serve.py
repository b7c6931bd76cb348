"""The command `serve`, and the embedded server for a single call of `recommend`."""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from config import Config, paths
from config.online import RequestLogConfig
from pipeline.cli.common import OK, CommandError, add_config

_START_SECONDS: Final = 300.0


def add_serve(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `serve`."""
    add_config(parser)
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0: every interface (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8500, help="TCP port; 0: any free one (default: %(default)s)")
    parser.add_argument(
        "--print-models",
        action="store_true",
        help="print the model config file for TensorFlow Serving, and do not serve",
    )


def serve(arguments: argparse.Namespace) -> int:
    """Serve the pushed models over gRPC with the embedded model server.

    Newer versions are picked up while it serves. It speaks TensorFlow Serving's interface and takes its directory
    layout. With `serving.log_requests` a sample of the requests is logged, for `online`.
    """
    from pipeline.checks.configuration import checked_config

    config = checked_config(arguments.config, with_data=False)
    if arguments.print_models:
        print(models_config(config), end="")
        return OK
    require_pushed(config, arguments.config)
    from serving.server.__main__ import main

    listening = [f"--host={arguments.host}", f"--port={arguments.port}"]
    if config.serving.log_requests is None:
        return main([*_server_flags(config), *listening])
    with tempfile.NamedTemporaryFile("w", prefix="models-", suffix=".config") as file:
        file.write(models_config(config))
        file.flush()
        return main([f"--model_config_file={file.name}", *_log_flags(config.serving.log_requests), *listening])


def models_config(config: Config) -> str:
    """Returns the model config file of both servers, TensorFlow Serving's ModelServerConfig in text form."""
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    models = model_server_config_pb2.ModelServerConfig()
    name = config.serving.model_name
    model = models.model_config_list.config.add(name=name, base_path=_base_path(config), model_platform="tensorflow")
    log, prefix = config.serving.log_requests, paths.request_log(config)
    if log is not None and prefix is not None:
        model.logging_config.log_collector_config.type = "tfrecord"
        model.logging_config.log_collector_config.filename_prefix = prefix
        model.logging_config.sampling_config.sampling_rate = log.sampling_rate
    return text_format.MessageToString(models)


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
    return [f"--model_name={config.serving.model_name}", f"--model_base_path={_base_path(config)}"]


def _base_path(config: Config) -> str:
    folder = paths.serving(config)
    return folder if "://" in folder else str(Path(folder).absolute())


def _log_flags(log: RequestLogConfig) -> list[str]:
    return [
        f"--request_log_max_bytes={int(log.max_file_mb * 1e6)}",
        f"--request_log_max_seconds={60 * log.max_file_minutes}",
        f"--request_log_max_files={log.max_files}",
    ]
