"""The command `online`: what served models did, whether the newest holds its gates, and its withdrawal."""

import argparse
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from config import Config, ConfigError, paths
from config.data import Table
from pipeline.cli.common import NOT_PUSHED, OK, CommandError, add_config, add_verbose
from pipeline.push.withdraw import WithdrawError, version_numbers, withdraw, withdrawn_folder

if TYPE_CHECKING:
    from pipeline.online.gates import Verdict
    from pipeline.online.measures import Measured
    from pipeline.online.sums import Sums

PAGE: Final = "online.html"
METRICS: Final = "online.prom"
MEASURES: Final = "online.json"


def add_online(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `online`."""
    add_config(parser)
    parser.add_argument(
        "--logs", required=True, metavar="GLOB", help="files of PredictionLogs (`serving.log_requests`), or a folder"
    )
    parser.add_argument(
        "--interactions", metavar="GLOB", help="in the form of `data.interactions` (default: those, the newest span)"
    )
    parser.add_argument("--output", metavar="FOLDER", help="default: <pipeline.root>/<name>/online")
    parser.add_argument("--rollback", action="store_true", help="withdraw the newest version if it fails a gate")
    add_verbose(parser)


def online(arguments: argparse.Namespace) -> int:
    """Measure served models on logged requests and on what users did afterwards, and judge the newest.

    Writes a page, JSON and Prometheus metrics: by version the requests, clicks by rank, calibration, coverage, unknown
    ids, and skew from the training examples. Exits with 3 if a gate of `online.gates` fails.
    """
    from pipeline.checks.configuration import checked_config

    config = checked_config(arguments.config, with_data=False)
    if config.data.interactions.time is None:
        raise ConfigError(f"{arguments.config}: `data.interactions.time` is null, and `online` needs times of events")
    output = arguments.output or paths.online(config)
    if "://" in output:
        raise CommandError(f"`--output` should be a folder of this machine. Received: {output}")
    folder = Path(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        measured, verdicts, version = _measure(config, arguments, folder)
    except OSError as error:
        raise CommandError(f"{error.filename or folder}: {error.strerror}") from error
    for line in _lines(measured, verdicts, version):
        print(line)
    print(f"page: {folder / PAGE}; metrics: {folder / METRICS}, {folder / MEASURES}")
    if not any(verdict.passed is False for verdict in verdicts):
        return OK
    if arguments.rollback:
        _roll_back(config, version, verdicts)
    return NOT_PUSHED


def _measure(
    config: Config, arguments: argparse.Namespace, folder: Path
) -> tuple[list["Measured"], list["Verdict"], int]:
    """Measures all versions, judges one and writes the files."""
    from pipeline.runners.capture import captured
    from pipeline.runners.metadata import database_problem

    if problem := database_problem(Path(paths.home(config)), config.pipeline.metadata, is_written=False):
        raise CommandError(problem)
    config = _with_interactions(config, arguments.interactions)
    with captured(folder / "online.log", arguments.verbose):
        from pipeline.ingest.tables import TableError, table_files
        from pipeline.online import gates, graph, measures, page, prometheus, training

        try:
            place, path = _place(arguments.logs)
            logs = table_files(place, Table(path=path, format="tfrecord"))
            interactions = table_files(config.data.folder, config.data.interactions, config.data.span)
        except TableError as error:
            raise CommandError(str(error)) from error
        trainings = training.read_trainings(config)
        graph.write_sums(config, logs, interactions, trainings, str(folder / "sums.json"))
        sums = graph.read_sums(str(folder / "sums.json"))
        _check(sums)
        measured = measures.measure(sums, trainings, measures.probability_tasks(config))
        version = _served(config, measured)
        verdicts = gates.judge(config.online.gates, version, measured)
        skipped = {str(key[1]): int(number) for key, number in sums.items() if key[0] == graph.SKIPPED}
        hours = config.online.window_hours
        page.write_page(folder / PAGE, config.name, measured, version, verdicts, skipped, hours)
        prometheus.write_metrics(folder / METRICS, config.name, measured, version, verdicts)
        _write_json(folder / MEASURES, measured, version, verdicts, skipped)
    return measured, verdicts, version


def _with_interactions(config: Config, path: str | None) -> Config:
    if path is None:
        return config
    folder, name = _place(path)
    table = config.data.interactions.model_copy(update={"path": name, "window": None})
    data = config.data.model_copy(update={"folder": folder, "interactions": table, "span": None})
    return config.model_copy(update={"data": data})


def _place(path: str) -> tuple[str, str]:
    """Returns a bucket and the path in it; of a local path "" and the absolute one."""
    if "://" not in path:
        return "", str(Path(path).absolute())
    scheme, _, rest = path.partition("://")
    bucket, _, name = rest.partition("/")
    return f"{scheme}://{bucket}", name


def _check(sums: "Sums") -> None:
    """Raises `CommandError` where a file could not be read, or no request is left."""
    from pipeline.ingest.findings import ERRORS
    from pipeline.online.graph import SKIPPED

    if errors := [str(key[1]) for key in sums if key[0] == ERRORS]:
        raise CommandError("\n".join(errors))
    if not any(len(key) > 1 and key[1] == "requests" for key in sums):
        why = ", ".join(f"{number:,.0f} {key[1]}" for key, number in sums.items() if key[0] == SKIPPED)
        raise CommandError(f"`--logs`: no request with recommendations{f': {why}' if why else ''}")


def _served(config: Config, measured: Sequence["Measured"]) -> int:
    """Returns the version that answers: the newest in the serving folder, or of the logs where that cannot be seen."""
    folder = paths.serving(config)
    versions = [] if "://" in folder else version_numbers(folder)
    return versions[-1] if versions else measured[0].version


def _write_json(
    path: Path,
    measured: Sequence["Measured"],
    version: int,
    verdicts: Sequence["Verdict"],
    skipped: Mapping[str, int],
) -> None:
    found = {
        "version": version,
        "gates": [dataclasses.asdict(verdict) for verdict in verdicts],
        "measured": [dataclasses.asdict(m) for m in measured],
        "skipped": skipped,
    }
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def _lines(measured: Sequence["Measured"], verdicts: Sequence["Verdict"], version: int) -> Iterator[str]:
    for m in measured:
        waiting = f", the window of {m.pending:,} is not over" if m.pending else ""
        yield f"version {m.version}: {m.requests:,} requests{waiting}; click-through rate {m.ctr_text}"
        for skew in m.shifted:
            yield f"  shifted: `{skew.feature}`: {skew.measure} {skew.found:.3g}, most of it by {skew.value!r}"
        if not m.skews:
            yield "  not known: its ids, coverage and skew, as the metadata hold no examples of it"
    words = {True: "holds", False: "FAILS", None: "not judged"}
    for verdict in verdicts:
        yield f"gate {words[verdict.passed]} on version {version}: {verdict}"


def _roll_back(config: Config, version: int, verdicts: Sequence["Verdict"]) -> None:
    from pipeline.online.gates import should_withdraw

    if not should_withdraw(verdicts):
        print(f"version {version} stays: too few requests say nothing about it")
        return
    base_path = paths.serving(config)
    try:
        gone = withdraw(base_path)
    except (WithdrawError, OSError) as error:
        raise CommandError(f"version {version} fails and was not withdrawn: {error}") from error
    print(f"withdrew version {gone[0]} to {withdrawn_folder(base_path) / str(gone[0])}")
