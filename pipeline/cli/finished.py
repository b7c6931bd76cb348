"""A whole local run, or the error that a person sees."""

from config import Config
from pipeline.cli import exits
from pipeline.cli.console import warn
from pipeline.runners.local import Outcome, RunError, run_local


def finished_run(config: Config, verbose: bool) -> Outcome:
    """Runs the pipeline here. Of a report that could not be written there is a warning, and no error.

    Args:
        config: the checked configuration.
        verbose: show the whole log on the terminal, too.

    Raises:
        CommandError: the run could not start, or a component failed.
    """
    try:
        outcome = run_local(config, verbose)
    except RunError as error:
        raise exits.CommandError(str(error)) from error
    if outcome.report_problem:
        warn(f"the report could not be written: {outcome.report_problem}\nthe whole log: {outcome.log}")
    if outcome.failed:
        raise exits.CommandError(f"{outcome.failed} failed: {outcome.message}\nthe whole log: {outcome.log}")
    return outcome
