"""Run the pipeline: ingest, validate, transform, train, evaluate, push.

One line for each component; the whole log goes to a file that is named first. Finished components of an earlier,
even a killed, run come from the cache.
"""

import argparse

from pipeline.cli import exits
from pipeline.cli.options import add_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which pipeline, where, and how much to show."""
    add_config(parser)
    parser.add_argument("--runner", choices=["local"], default="local", help="where it runs (default: %(default)s)")
    parser.add_argument("--no-cache", action="store_true", help="run every component again")
    parser.add_argument("--verbose", action="store_true", help="show the whole log on the terminal, too")


def execute(arguments: argparse.Namespace) -> int:
    """Runs and reports; raises `ConfigError`, or `CommandError` when the run cannot start."""
    from pipeline.checks.configuration import checked_config
    from pipeline.cli.finished import finished_run

    config = checked_config(arguments.config, writes=True)
    if arguments.no_cache:
        uncached = config.pipeline.model_copy(update={"cache": False})
        config = config.model_copy(update={"pipeline": uncached})
    outcome = finished_run(config, arguments.verbose)
    print(f"finished in {outcome.seconds:.0f} s: {outcome.verdict}")
    if outcome.report:
        print(f"report: {outcome.report}; its metrics: {outcome.metrics}")
    return exits.OK if outcome.pushed else exits.NOT_PUSHED
