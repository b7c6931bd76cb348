"""Exit codes, options and output that the commands share."""

import argparse
import sys
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NOT_PUSHED: Final = 3
INTERRUPTED: Final = 130

EXIT_CODES: Final = """exit codes:
  0  done
  1  the run, the download or the call failed
  2  the configuration or the command line is wrong
  3  the run finished, but its model was not blessed or not pushed, or a newer version answers; a gate of `online` fails
  138  (worker --config) another worker was lost: all have to be started again
A report that cannot be written is a warning and changes no exit code.
"""
DEFAULT_CONFIG: Final = "examples/movielens-100k.yaml"


class CommandError(Exception):
    """A command failed. The message is the whole of what the user sees."""


class LostWorkerCommandError(CommandError):
    """A training ended because another process of it had."""


def add_config(parser: argparse.ArgumentParser) -> None:
    """Adds `--config FILE`."""
    parser.add_argument("--config", default=DEFAULT_CONFIG, metavar="FILE", help="the YAML file (default: %(default)s)")


def add_verbose(parser: argparse.ArgumentParser) -> None:
    """Adds `--verbose`."""
    parser.add_argument("--verbose", action="store_true", help="show the whole log on the terminal, too")


def positive(text: str) -> int:
    """Parses an argument that should be a positive integer."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"should be a positive integer. Received: {text!r}")
    return int(text)


def plain_console(pipe_width: int = 160) -> Console:
    """Returns a console that prints texts as they are: brackets are no markup, colons no emoji.

    Args:
      pipe_width: The width in characters where the output is no terminal.
    """
    console = Console(markup=False, emoji=False)
    return console if console.is_terminal else Console(width=pipe_width, markup=False, emoji=False)


def plain_table(title: str) -> Table:
    """Returns an empty table in the style of the command line."""
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)


def warn(text: str) -> None:
    """Prints a warning to standard error."""
    print(f"warning: {text}", file=sys.stderr)
