"""The parser, and the way from a command's end to an exit code."""

import argparse
import os
import sys
from collections.abc import Sequence

from config import ConfigError
from pipeline.cli import check, compile, crossval, data, exits, recommend, rollback, run, serve, versions, worker

COMMANDS = {
    "run": run,
    "worker": worker,
    "crossval": crossval,
    "check": check,
    "data": data,
    "serve": serve,
    "recommend": recommend,
    "versions": versions,
    "rollback": rollback,
    "compile": compile,
}
"""Each is a module with a docstring (its help), `add_arguments(parser)` and `execute(arguments) -> exit code`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code (see `exits`); a wrong command line exits with 2."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # warnings and errors: the informational lines bury the rest
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    parsed = make_parser().parse_args(arguments)
    try:
        return int(COMMANDS[parsed.command].execute(parsed))
    except ConfigError as error:
        return _complain(str(error), exits.USAGE)
    except exits.CommandError as error:
        return _complain(str(error), exits.FAILED)
    except OSError as error:
        return _complain(f"{error.filename or COMMANDS[parsed.command].__name__}: {error.strerror}", exits.FAILED)
    except KeyboardInterrupt:
        return _complain("interrupted", exits.INTERRUPTED)


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line, with a subparser for each command."""
    parser = argparse.ArgumentParser(
        prog="tfx_runner.py",
        description="A recommender from an interaction log to answers over gRPC, described by one YAML file.",
        epilog=exits.MEANING,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, module in COMMANDS.items():
        summary = (module.__doc__ or "").splitlines()[0]
        command = commands.add_parser(
            name,
            help=summary[:1].lower() + summary[1:].rstrip("."),
            description=module.__doc__,
            epilog=exits.MEANING,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
    return parser


def _complain(message: str, code: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return code
