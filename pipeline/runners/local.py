"""Runs a pipeline in this process, component after component, with one line for each on the terminal.

It uses the compiler and the launcher of TFX's LocalDagRunner, and records of every component whether it ran, came from
the cache or failed.
"""

import fcntl
import os
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from config import Config, ConfigError, paths
from config.cluster import Cluster
from config.local_cluster import LocalCluster
from config.tpu import tpu_address
from pipeline.checks.training_jobs import check_cluster
from pipeline.messages import read_warnings
from pipeline.metadata import connection
from pipeline.push.withdraw import version_fault, version_numbers, withdrawn_folder
from pipeline.runners.capture import LogFollower, captured
from pipeline.runners.display import Display, headline
from pipeline.runners.json_lines import JsonLines
from pipeline.runners.metadata import database_problem, remove_leftovers
from pipeline.runners.metrics import Outputs, blessing_problem, metric, pushed_version
from pipeline.runners.outcome import Outcome
from pipeline.runners.reporting import write_report_files
from pipeline.runners.workers import share_package
from trainer.distributed.restarts import KilledTrainingError, LostWorkerError

DescribeMetric = Callable[[str, Outputs], str]
LogFormat = Literal["text", "json"]


class RunError(Exception):
    """The run could not start. The message is the whole of what the user sees."""


def run_local(config: Config, verbose: bool = False, log_format: LogFormat = "text") -> Outcome:
    """Runs the configuration's pipeline.

    Args:
      config: The validated configuration; `pipeline.cache` decides about the cache.
      verbose: Show the whole log on the terminal.
      log_format: Of the lines on the terminal.

    Raises:
      ConfigError: the folder cannot be written to; for a strategy of several processes `TF_CONFIG` does not name this
        one as the chief, there is no local cluster, and no job that can be submitted; for `tpu` no TPU is named.
      RunError: another run of the same pipeline is under way, or the folder is not local.
    """
    if config.training.has_cluster and LocalCluster.read(os.environ) is None:
        if config.training.job is not None and not Cluster.is_named(os.environ):
            check_cluster(config)
        else:
            Cluster.of_chief(os.environ, config.training.strategy)
    if config.training.strategy == "tpu":
        tpu_address(config.training, os.environ)
    home = paths.home(config)
    if "://" in home:
        raise RunError(
            f"`pipeline.root` should be a local folder for the local runner. Received: {config.pipeline.root!r}"
        )

    def build() -> Any:
        from pipeline.dag import create_pipeline
        from trainer.distributed.strategies import prepare_devices

        prepare_devices(config.training)  # before another component starts TensorFlow
        share_package()
        return create_pipeline(config)

    metrics: dict[str, str] = {}

    def describe(name: str, outputs: Outputs) -> str:
        metrics[name] = metric(name, outputs, config)
        return metrics[name]

    outcome = run_pipeline(build, Path(home), verbose, describe, config.pipeline.metadata, log_format)
    with captured(outcome.log, verbose):
        _judge(outcome)
        write_report_files(config, outcome, metrics)
    return outcome


def _judge(outcome: Outcome) -> None:
    """Sets `pushed` and `verdict`."""
    if "Pusher" not in outcome.outputs:
        return
    pushed = pushed_version(outcome.outputs["Pusher"])
    if pushed is None:
        outcome.verdict = blessing_problem(outcome.outputs) or "nothing was pushed"
        return
    version, folder = pushed
    if problem := "" if "://" in folder else _version_problem(int(version), Path(folder)):
        outcome.verdict = f"version {version} was pushed earlier {problem}"
    else:
        outcome.verdict, outcome.pushed = f"version {version} serves from {folder}", folder


def _version_problem(version: int, folder: Path) -> str:
    """Returns why servers do not answer from a version that was pushed; "" where they do."""
    if not folder.is_dir():
        aside = withdrawn_folder(folder.parent) / folder.name
        return f"and withdrawn to {aside}" if aside.is_dir() else f"but {folder} is gone: run again with --no-cache"
    newest = version_numbers(folder.parent)[-1]
    if newest > version:
        back = f"`tfx_runner.py rollback --to {version}` with this configuration withdraws what is newer"
        return f"and version {newest}, which is newer, answers: {back}"
    fault = version_fault(folder)
    return f"but is damaged: {fault}. Run again with --no-cache" if fault else ""


def run_pipeline(
    build: Callable[[], Any],
    home: Path,
    verbose: bool = False,
    metric: DescribeMetric = lambda name, outputs: "",
    database: str | None = None,
    log_format: LogFormat = "text",
) -> Outcome:
    """Runs a `tfx.dsl.Pipeline` with its metadata, lock and logs in `home`.

    Args:
      build: Makes the pipeline; called when the log is open, for TFX is not silent when it is imported.
      home: The folder of `logs/`, and of `metadata.sqlite` where no `database` is named.
      verbose: Show the whole log on the terminal.
      metric: The main metric of a finished component, from its id and its outputs.
      database: The address of the metadata's database; see `pipeline.metadata` in the configuration.
      log_format: Of the lines on the terminal.

    Raises:
      ConfigError: the folder cannot be written to.
      RunError: another run in the same folder is under way, or the metadata cannot be used.
    """
    run_id = datetime.now().strftime("%Y%m%d-%H%M%S-%f")[:-3]
    outcome = Outcome(run_id, home / "logs" / f"{run_id}.log")
    began = time.monotonic()
    with only_run(home):
        if problem := database_problem(home, database):
            raise RunError(problem)
        with captured(outcome.log, verbose) as terminal:

            def lines(names: list[str]) -> Display | JsonLines:
                if log_format == "json":
                    return JsonLines(terminal, outcome.run_id)
                return Display(terminal, names, not verbose)

            with lines(["starting"]) as display, _failing(outcome, display, "starting"):
                nodes = _start(display, build, connection(home, database), outcome)
            if not outcome.failed:
                with lines([node.name for node in nodes]) as display:
                    for node in nodes:
                        with _failing(outcome, display, node.name):
                            _launch(display, node, outcome, metric)
                        if outcome.failed:
                            break
    outcome.seconds = time.monotonic() - began
    return outcome


@contextmanager
def only_run(home: Path) -> Iterator[None]:
    """Holds the folder's lock, which the system frees when the process ends."""
    try:
        home.mkdir(paths.PRIVATE, parents=True, exist_ok=True)
        opened = (home / ".lock").open("w")
    except OSError as error:
        raise ConfigError(f"`pipeline.root`: {home} cannot be written to ({error.strerror})") from error
    with opened as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RunError(f"another run in {home} is under way; wait for it or stop it") from error
        yield


@contextmanager
def _failing(outcome: Outcome, display: Display | JsonLines, name: str) -> Iterator[None]:
    """Records an exception as the failure of the component, and prints its stack trace to the log."""
    try:
        yield
    except Exception as error:
        traceback.print_exc()
        outcome.states[name], outcome.failed, outcome.message = "failed", name, headline(error)
        outcome.is_refused = isinstance(error, ConfigError)
        outcome.is_lost = isinstance(error, LostWorkerError | KilledTrainingError)
        outcome.component_seconds[name] = display.finish(
            "failed", outcome.message if isinstance(display, JsonLines) else ""
        )


def _start(display: Display | JsonLines, build: Callable[[], Any], database: Any, outcome: Outcome) -> list[Any]:
    """Builds and compiles the pipeline, and removes what killed runs left. Returns the nodes."""
    display.say(f"run {outcome.run_id}, log {outcome.log}", "dim")
    display.start("starting")
    from pipeline.runners.node import compile_nodes  # imports TFX, which prints: into the log

    pipeline = build()
    nodes = compile_nodes(pipeline, database, outcome.run_id)
    info = pipeline.pipeline_info
    for text in remove_leftovers(info.pipeline_name, Path(info.pipeline_root), database, outcome.run_id):
        display.warn(text)
    return nodes


def _launch(display: Display | JsonLines, node: Any, outcome: Outcome, metric: DescribeMetric) -> None:
    """Runs a node, and prints its line and its warnings."""
    progress = LogFollower(outcome.log)
    display.start(node.name, progress.newest, progress.news)
    state, outputs = node.launch()
    outcome.states[node.name], outcome.outputs[node.name] = state, outputs
    if node.is_shown:
        outcome.component_seconds[node.name] = display.finish(state, metric(node.name, outputs))
    if warnings := read_warnings(node.name, outputs):
        outcome.warnings[node.name] = warnings
        for text in warnings:
            display.warn(text)
