"""Serve the pushed models over gRPC with the embedded model server.

Newer versions are picked up while it serves. It speaks TensorFlow Serving's interface and takes its directory layout.
"""

import argparse
from pathlib import Path

from config import Config, paths
from pipeline.cli import exits
from pipeline.cli.options import add_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which model, and where it listens."""
    add_config(parser)
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0: every interface (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8500, help="TCP port; 0: any free one (default: %(default)s)")


def execute(arguments: argparse.Namespace) -> int:
    """Serves until it is told to stop; raises `ConfigError` or `CommandError`."""
    from pipeline.checks.configuration import checked_config

    config = checked_config(arguments.config, with_data=False)
    require_pushed(config, arguments.config)
    from serving.server.__main__ import main

    return main([*server_flags(config), f"--host={arguments.host}", f"--port={arguments.port}"])


def server_flags(config: Config) -> list[str]:
    """The model server's flags for the configuration's pushed models."""
    folder = paths.serving(config)
    base = folder if "://" in folder else str(Path(folder).absolute())
    return [f"--model_name={config.serving.model_name}", f"--model_base_path={base}"]


def require_pushed(config: Config, path: str) -> None:
    """Raises `CommandError` when no version was pushed, or the newest is damaged; a remote folder is the server's to
    judge."""
    from pipeline.push.withdraw import version_fault, version_numbers

    folder = paths.serving(config)
    if "://" in folder:
        return
    versions = version_numbers(folder)
    if not versions:
        raise exits.CommandError(f"{folder} holds no model. Make one: `tfx_runner.py run --config {path}`")
    fault = version_fault(Path(folder) / str(versions[-1]))
    if fault:
        raise exits.CommandError(
            f"version {versions[-1]} is damaged: {fault}. Withdraw it: `tfx_runner.py rollback --config {path}`"
        )
