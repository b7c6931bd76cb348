"""The commands that run the pipeline here, or compile it for another runner."""

import argparse
import os
import sys
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from config import Config, ConfigError
from config.local_cluster import OPTIONS, LocalCluster
from pipeline.cli.common import (
    NOT_PUSHED,
    OK,
    CommandError,
    LostWorkerCommandError,
    add_config,
    add_verbose,
    positive,
    warn,
)

if TYPE_CHECKING:
    from pipeline.runners.local import LogFormat
    from pipeline.runners.outcome import Outcome


def add_run(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `run`."""
    add_config(parser)
    parser.add_argument("--runner", choices=["local"], default="local", help="where it runs (default: %(default)s)")
    parser.add_argument(
        "--span", type=_span, help="the last span to read, a number or a date (default: `data.span`, or the newest)"
    )
    parser.add_argument(
        OPTIONS["worker"],
        type=positive,
        metavar="N",
        help="train with N processes on this machine (`multi_worker`, `parameter_server`)",
    )
    parser.add_argument(
        OPTIONS["ps"], type=positive, metavar="M", help="divide tables among M processes (`parameter_server`)"
    )
    parser.add_argument("--no-cache", action="store_true", help="run every component again")
    parser.add_argument(
        "--log-format",
        choices=["text", "json"],
        default="text",
        help="the lines on the terminal: text, or a JSON object each (default: %(default)s)",
    )
    add_verbose(parser)


def _span(text: str) -> int | date:
    """Parses a span: digits are a number, anything else a date."""
    try:
        return int(text) if text.isdigit() else date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"should be a number or a date such as 2026-05-31. Received: {text!r}"
        ) from error


def run(arguments: argparse.Namespace) -> int:
    """Run the pipeline: ingest, validate, transform, train, evaluate, push.

    One line for each component; the whole log goes to a file that is named first. Finished components of an earlier,
    even a killed, run come from the cache. Where `training.strategy` is `multi_worker`, TF_CONFIG names the workers, or
    `--workers` starts them here: they end with the run, and when one is killed all go on from the last checkpoint. With
    `parameter_server` both name servers too (`--servers`), and the others go on when a worker is killed.
    """
    from pipeline.checks.configuration import checked_config

    config = checked_config(arguments.config, writes=True, span=arguments.span)
    if arguments.no_cache:
        uncached = config.pipeline.model_copy(update={"cache": False})
        config = config.model_copy(update={"pipeline": uncached})
    counts = {"worker": arguments.workers, "ps": arguments.servers}
    cluster = LocalCluster.of_options(config.training.strategy, counts, os.environ)
    is_json = arguments.log_format == "json"
    if is_json and arguments.verbose:
        raise ConfigError("`--verbose` shows the log, which is text. Leave it out, or `--log-format json`")
    with cluster.announced(os.environ) if cluster else nullcontext():
        outcome = finished_run(config, arguments.verbose, arguments.log_format)
    if is_json:
        from pipeline.runners.json_lines import JsonLines

        report, pushed = (str(path or "") for path in (outcome.report, outcome.pushed))
        lines = JsonLines(sys.stdout, outcome.run_id)
        lines.write("finished", seconds=outcome.seconds, message=outcome.verdict, report=report, pushed=pushed)
        return OK if outcome.pushed else NOT_PUSHED
    return report_run(outcome)


def report_run(outcome: "Outcome") -> int:
    """Prints the verdict, and returns the exit code."""
    print(f"finished in {outcome.seconds:.0f} s: {outcome.verdict}")
    if outcome.report:
        print(f"report: {outcome.report}; its metrics: {outcome.metrics}")
    return OK if outcome.pushed else NOT_PUSHED


def finished_run(config: Config, verbose: bool, log_format: "LogFormat" = "text") -> "Outcome":
    """Runs the pipeline here. A report that could not be written is a warning, no error.

    Args:
      config: The checked configuration.
      verbose: Show the whole log on the terminal, too.
      log_format: Of the lines on the terminal.

    Raises:
      CommandError: The run could not start, or a component failed.
      ConfigError: A component refused the configuration.
    """
    from pipeline.runners.local import RunError, run_local

    try:
        outcome = run_local(config, verbose, log_format)
    except RunError as error:
        raise CommandError(str(error)) from error
    if outcome.report_problem:
        warn(f"the report could not be written: {outcome.report_problem}\nthe whole log: {outcome.log}")
    if outcome.failed:
        refused = ConfigError if outcome.is_refused else CommandError
        failure = LostWorkerCommandError if outcome.is_lost else refused
        raise failure(f"{outcome.failed} failed: {outcome.message}\nthe whole log: {outcome.log}")
    return outcome


def add_compile(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `compile`."""
    add_config(parser)
    parser.add_argument(
        "--target",
        choices=["kfp", "vertex", "airflow"],
        default="kfp",
        help="open-source KFP, Vertex AI or Apache Airflow (default: %(default)s)",
    )
    parser.add_argument("--output", required=True, metavar="FILE", help="the file: .yaml, .yml, .json; .py for Airflow")
    parser.add_argument("--image", help="the container image with this project in it, for pods")
    parser.add_argument("--pipeline-root", metavar="URI", help="where pods keep artifacts (default: `pipeline.root`'s)")
    parser.add_argument("--schedule", metavar="CRON", help="when Airflow runs it (default: by hand)")


def compile_(arguments: argparse.Namespace) -> int:
    """Compile the pipeline for Kubeflow Pipelines, Vertex AI or Apache Airflow.

    Writes a PipelineSpec, YAML or JSON by the file's extension; for `kfp` with the PlatformSpec of `kubernetes`.
    Folders that pods would not share are refused. For `airflow` it writes a DAG whose tasks are `check` and `run`.
    Nothing is run and nothing is sent anywhere.
    """
    from pipeline.checks.configuration import checked_config
    from pipeline.checks.files import why_unwritable

    config = checked_config(arguments.config, with_data=False)
    if problem := why_unwritable(str(Path(arguments.output).parent)):
        raise ConfigError(f"`--output` should be in a folder that can be written to: {problem}")
    if arguments.target == "airflow":
        from pipeline.runners.airflow import render_dag

        names = render_dag(config, arguments.config, Path(arguments.output), arguments.schedule)
        print(f"{arguments.output}: {len(names)} tasks: {', '.join(names)}")
        return OK
    from pipeline.runners.kubeflow.compiling import CompileError, compile_pipeline

    try:
        names = compile_pipeline(
            config, arguments.target, Path(arguments.output), arguments.image, arguments.pipeline_root
        )
    except CompileError as error:
        raise CommandError(str(error)) from error
    print(f"{arguments.output}: {len(names)} components: {', '.join(names)}")
    return OK
