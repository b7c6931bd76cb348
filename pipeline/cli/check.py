"""Say what is wrong with a configuration and its tables, before any work.

Reads the YAML file, the tables' column names and the first thousand rows of each table (--full: all) as ingest does:
keys, types, columns, expressions, gates, bounds; values that cannot be read, ids of the log that are in no table, times
that cannot be, expressions that never or always hold, columns that are constant, empty or unlike their kind. Errors
exit with 2, warnings with 0.
"""

import argparse

from pipeline.cli import exits
from pipeline.cli.console import plain_console, warn
from pipeline.cli.options import DEFAULT_CONFIG

_PIPE_WIDTH = 160
"""Characters, where the output is no terminal."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The configuration, by position as it is what the command is about."""
    parser.add_argument("config", nargs="?", default=DEFAULT_CONFIG, help="the YAML file (default: %(default)s)")
    parser.add_argument("--full", action="store_true", help="read all rows of the tables, not the first thousand")


def execute(arguments: argparse.Namespace) -> int:
    """Prints what the tables hold and `FILE: ok`, or raises `ConfigError` with every problem."""
    from config import ConfigError
    from pipeline.checks.configuration import checked_config
    from pipeline.checks.rows import FIRST_ROWS, check_rows
    from pipeline.cli.row_tables import row_lines, row_tables
    from pipeline.ingest.tables import TableError

    config = checked_config(arguments.config, writes=True)
    try:
        check = check_rows(config, None if arguments.full else FIRST_ROWS)
    except TableError as error:
        raise ConfigError(f"{arguments.config}: {error}") from error
    console = plain_console()
    console = console if console.is_terminal else plain_console(width=_PIPE_WIDTH)
    for table in row_tables(check, config):
        console.print(table)
    for line in row_lines(check, config):
        console.print(line, soft_wrap=True, highlight=False)
    for text in check.warnings:
        warn(text)
    if check.errors:
        raise ConfigError("\n".join(f"{arguments.config}: {text}" for text in check.errors))
    features = sum(len(getattr(config.features, section)) for section in ("user", "item", "context", "outcome"))
    warned = f"; warnings: {len(check.warnings)}" if check.warnings else ""
    print(f"{arguments.config}: ok ({features} features; tasks: {', '.join(config.tasks)}{warned})")
    return exits.OK
