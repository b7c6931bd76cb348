"""Say what is wrong with a configuration, before any work.

Reads the YAML file and the tables' column names: keys, types, columns, expressions, gates, bounds.
"""

import argparse

from pipeline.cli import exits
from pipeline.cli.options import DEFAULT_CONFIG


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The configuration, by position as it is what the command is about."""
    parser.add_argument("config", nargs="?", default=DEFAULT_CONFIG, help="the YAML file (default: %(default)s)")


def execute(arguments: argparse.Namespace) -> int:
    """Prints `FILE: ok`, or raises `ConfigError` with every problem."""
    from pipeline.check import checked_config

    config = checked_config(arguments.config, writes=True)
    features = sum(len(getattr(config.features, section)) for section in ("user", "item", "context", "outcome"))
    print(f"{arguments.config}: ok ({features} features; tasks: {', '.join(config.tasks)})")
    return exits.OK
