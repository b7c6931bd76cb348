"""Run the pipeline: ingest, validate, transform, train, evaluate, push.

One line for each component; the whole log goes to a file that is named first. Finished components of an earlier,
even a killed, run come from the cache.
"""

import argparse

from pipeline.cli import exits
from pipeline.cli.options import add_config
from pipeline.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which pipeline, where, and how much to show."""
    add_config(parser)
    parser.add_argument("--runner", choices=["local"], default="local", help="where it runs (default: %(default)s)")
    parser.add_argument("--no-cache", action="store_true", help="run every component again")
    parser.add_argument("--verbose", action="store_true", help="show the whole log on the terminal, too")


def execute(arguments: argparse.Namespace) -> int:
    """Runs and reports; raises `ConfigError`, or `CommandError` when the run cannot start."""
    from pipeline.check import checked_config

    config = checked_config(arguments.config)
    if arguments.no_cache:
        uncached = config.pipeline.model_copy(update={"cache": False})
        config = config.model_copy(update={"pipeline": uncached})
    return _run(config, arguments.verbose)


def _run(config: Config, verbose: bool) -> int:
    from pipeline.runners.local import RunError, run_local

    try:
        outcome = run_local(config, verbose)
    except RunError as error:
        raise exits.CommandError(str(error)) from error
    if outcome.failed:
        raise exits.CommandError(f"{outcome.failed} failed: {outcome.message}\nthe whole log: {outcome.log}")
    print(f"finished in {outcome.seconds:.0f} s: {outcome.verdict}")
    if outcome.report:
        print(f"report: {outcome.report}")
    return exits.OK if outcome.pushed else exits.NOT_PUSHED
