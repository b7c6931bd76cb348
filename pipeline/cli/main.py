"""The parser, and the exit code of a command."""

import argparse
import inspect
import os
import sys
from collections.abc import Callable, Sequence

from config import ConfigError
from pipeline.cli import (
    check,
    clean,
    common,
    compare,
    crossval,
    deploy,
    forget,
    online,
    recommend,
    refresh,
    run,
    serve,
    versions,
    worker,
)

COMMANDS: dict[str, tuple[Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace], int]]] = {
    "run": (run.add_run, run.run),
    "worker": (worker.add_worker, worker.worker),
    "crossval": (crossval.add_crossval, crossval.crossval),
    "check": (check.add_check, check.check),
    "data": (common.add_config, check.data),
    "serve": (serve.add_serve, serve.serve),
    "recommend": (recommend.add_recommend, recommend.recommend),
    "online": (online.add_online, online.online),
    "refresh": (refresh.add_refresh, refresh.refresh),
    "versions": (common.add_config, versions.versions),
    "rollback": (versions.add_rollback, versions.rollback),
    "compare": (compare.add_compare, compare.compare),
    "clean": (clean.add_clean, clean.clean),
    "forget": (forget.add_forget, forget.forget),
    "compile": (run.add_compile, run.compile_),
    "deploy": (deploy.add_deploy, deploy.deploy),
}
"""By name: a function that adds the arguments, and one that executes the command and returns its exit code. Its
docstring is the command's help; it raises `ConfigError` or `CommandError`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; a wrong command line exits with 2."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # warnings and errors: the informational lines bury the rest
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    parsed = make_parser().parse_args(arguments)
    try:
        return COMMANDS[parsed.command][1](parsed)
    except ConfigError as error:
        message, code = str(error), common.USAGE
    except common.CommandError as error:
        message, code = str(error), common.FAILED
    except OSError as error:
        message, code = f"{error.filename or parsed.command}: {error.strerror}", common.FAILED
    except KeyboardInterrupt:
        message, code = "interrupted", common.INTERRUPTED
    print(f"error: {message}", file=sys.stderr)
    return code


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line, with a subparser for each command."""
    parser = argparse.ArgumentParser(
        prog="tfx_runner.py",
        description="A recommender from an interaction log to answers over gRPC, described by one YAML file.",
        epilog=common.EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, (add_arguments, execute) in COMMANDS.items():
        description = inspect.getdoc(execute) or ""
        summary = description.splitlines()[0]
        command = commands.add_parser(
            name,
            help=summary[:1].lower() + summary[1:].rstrip("."),
            description=description,
            epilog=common.EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        add_arguments(command)
    return parser
