"""The command `compare`: what two runs differ in, from the records that each run leaves."""

import argparse
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from config import Config, paths
from pipeline.cli.common import OK, CommandError, add_config, plain_console, plain_table
from pipeline.report.record import RECORD, Recorded

_MISSING = "-"


def add_compare(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `compare`."""
    add_config(parser)
    parser.add_argument(
        "runs",
        nargs="*",
        metavar="RUN",
        help="two runs: ids such as 20260531-061500-123, or folders of `reports` (default: the newest two)",
    )


def compare(arguments: argparse.Namespace) -> int:
    """Compare two runs: their data, configuration, metrics with standard errors, and lineage.

    Every run that changed anything leaves its report, metrics and record in the folder `reports` beside its artifacts;
    a run that came whole from the cache is the run before it.
    """
    from pipeline.checks.configuration import checked_config

    config = checked_config(arguments.config, with_data=False)
    first, second = (_read(folder) for folder in _folders(config, arguments.runs))
    console = plain_console()
    console.print(differences("Data", _changed(first.record["data"], second.record["data"]), first, second))
    console.print(differences("Configuration", _changed(first.settings(), second.settings()), first, second))
    console.print(metric_changes(first, second))
    console.print(differences("Lineage", _changed(_lineage(config, first), _lineage(config, second)), first, second))
    return OK


def _folders(config: Config, names: list[str]) -> list[Path]:
    """Returns the folders of the two runs. Raises `CommandError` where they are not two that exist."""
    root = Path(paths.reports(config))
    known = sorted(folder.name for folder in root.glob("*") if (folder / RECORD).is_file())
    if len(names) not in (0, 2):
        raise CommandError(f"`compare` needs two runs, or none for the newest two. Received: {' '.join(names)}")
    if not names and len(known) < 2:
        raise CommandError(f"{root} holds {len(known)} runs, and a comparison needs two")
    folders = [Path(name) if "/" in name else root / name for name in names or known[-2:]]
    for name, folder in zip(names, folders, strict=False):
        if not (folder / RECORD).is_file():
            raise CommandError(f"there is no run {name}. Found in {root}: {', '.join(known) or 'none'}")
    return folders


def _read(folder: Path) -> Recorded:
    try:
        return Recorded.read(folder)
    except (ValueError, KeyError) as error:
        raise CommandError(f"{folder}: the record of the run cannot be read ({error})") from error


def _changed(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Returns the names whose values differ, with both; a missing one is `_MISSING`."""
    names = dict.fromkeys([*first, *second])
    pairs = [(name, first.get(name, _MISSING), second.get(name, _MISSING)) for name in names]
    return [pair for pair in pairs if pair[1] != pair[2]]


def _lineage(config: Config, run: Recorded) -> dict[str, str]:
    """Returns by output its artifact's path below the pipeline's root, and the digest of the Trainer's code."""
    root = paths.artifacts(config)
    artifacts = {
        f"{component}: {key}": ", ".join(uri.removeprefix(f"{root}/") for uri in uris)
        for component, outputs in run.record["artifacts"].items()
        for key, uris in outputs.items()
    }
    return {"Trainer's code": run.record["code"], **artifacts, "outcome": run.record["verdict"]}


def differences(title: str, changed: Iterable[tuple[str, Any, Any]], first: Recorded, second: Recorded) -> Table:
    """Returns a table with a row for each value that differs."""
    table = plain_table(title)
    for name in ("", first.run, second.run):
        table.add_column(name, overflow="fold")
    for name, *values in changed:
        table.add_row(name, *(f"{v:,}" if isinstance(v, int) and not isinstance(v, bool) else str(v) for v in values))
    if not table.row_count:
        table.add_row("no difference", "", "")
    return table


def metric_changes(first: Recorded, second: Recorded) -> Table:
    """Returns a table with a row for each metric of either run, by split.

    The last column divides the change by the standard error of a difference of independent samples,
    sqrt(s1^2 + s2^2). Runs that measured the same users are surer of it than that.
    """
    table = plain_table("Metrics, ± one standard error over users")
    for name in ("split", "metric"):
        table.add_column(name)
    for name in (first.run, second.run, "change", "in standard errors"):
        table.add_column(name, justify="right")
    ours, theirs = first.measured(), second.measured()
    for split, metric in dict.fromkeys([*ours, *theirs]):
        pair = [of.get((split, metric)) for of in (ours, theirs)]
        shown = [_MISSING if found is None else _with_error(*found) for found in pair]
        table.add_row(split, metric, *shown, *_change(*pair))
    return table


def _with_error(value: float, error: float | None) -> str:
    return f"{value:.4f}" if error is None else f"{value:.4f} ± {error:.4f}"


def _change(first: tuple[float, float | None] | None, second: tuple[float, float | None] | None) -> tuple[str, str]:
    if first is None or second is None:
        return "", ""
    change = second[0] - first[0]
    if not first[1] or not second[1]:
        return f"{change:+.4f}", ""
    return f"{change:+.4f}", f"{change / math.hypot(first[1], second[1]):+.1f}"
