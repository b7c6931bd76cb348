"""Fetch the public data set of a configuration.

Writes the tables that `data.dataset` names into `data.folder`; does nothing when they are there.
"""

import argparse
from pathlib import Path

from config import ConfigError
from pipeline.cli import exits
from pipeline.cli.options import add_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The configuration names the data set and the folder."""
    add_config(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Fetches and says what, where and under which terms; raises `ConfigError` or `CommandError`."""
    from pipeline.checks.configuration import checked_config

    config = checked_config(arguments.config, with_data=False)
    if config.data.dataset is None:
        raise ConfigError(f"{arguments.config}: `data.dataset` names no public data set, so there is nothing to fetch")
    if "://" in config.data.folder:
        raise ConfigError(
            f"{arguments.config}: `data.folder` should be a local folder. Received: {config.data.folder!r}"
        )
    _fetch(config.data.dataset, Path(config.data.folder))
    return exits.OK


def _fetch(name: str, folder: Path) -> None:
    from pipeline.datasets import SOURCES, DatasetError, fetch

    source = SOURCES[name]
    print(source.terms)
    try:
        fetched = fetch(name, folder)
    except DatasetError as error:
        raise exits.CommandError(str(error)) from error
    rows = ", ".join(f"{count:,} {table}" for table, count in fetched.rows.items())
    state = "already in" if fetched.cached else "written to"
    print(f"{source.title} {state} {folder}: {rows}")
