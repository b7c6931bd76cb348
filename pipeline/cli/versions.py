"""List the pushed versions with their blessings, main metrics and lineage.

The folders are those that servers see; the rest is from the pipeline's ML Metadata.
"""

import argparse
import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from config import Config, dump_config, paths
from config.dump import TRAINER
from config.fingerprint import TRAINER_CODE, code_fingerprint
from pipeline.cli import exits
from pipeline.cli.console import plain_console
from pipeline.cli.options import add_config

if TYPE_CHECKING:
    from pipeline.push.history import Pushed

Metrics = Mapping[tuple[str, str], float]
"""By split and metric."""
_TASK_METRICS = ("/rmse", "/auc")
_PIPE_WIDTH = 160
"""Characters, where the output is no terminal."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which model."""
    add_config(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Prints two tables; raises `ConfigError`, or `CommandError` when nothing was pushed."""
    from pipeline.checks.configuration import checked_config

    config = checked_config(arguments.config, with_data=False)
    with tempfile.TemporaryDirectory() as folder:
        pushed, metrics = _read(config, Path(folder) / "log")
    states = version_states(paths.serving(config), [p.version for p in pushed])
    if not states:
        make = f"`tfx_runner.py run --config {arguments.config}`"
        raise exits.CommandError(f"no version was pushed to {paths.serving(config)}. Make one: {make}")
    console = plain_console()
    console = console if console.is_terminal else plain_console(width=_PIPE_WIDTH)
    by_version = {p.version: p for p in pushed}
    console.print(outcomes(config, states, by_version, metrics))
    console.print(_lineage(config, [p for p in pushed if p.version in states]))
    for line in _file_notes(paths.serving(config), states):
        print(line)
    return exits.OK


def _file_notes(base_path: str, states: Mapping[int, str]) -> Iterator[str]:
    """Which of the versions that servers see are not what was pushed, and of which that is not known."""
    from pipeline.push.withdraw import version_fault
    from serving.manifest import MANIFEST

    folders = {v: Path(base_path) / str(v) for v, state in states.items() if state in ("newest", "kept")}
    for version, folder in folders.items():
        if fault := version_fault(folder):
            yield f"version {version} is damaged: {fault}. Servers do not load it; `tfx_runner.py rollback` withdraws"
    unknown = [str(version) for version, folder in folders.items() if not (folder / MANIFEST).is_file()]
    if unknown:
        yield f"pushed without {MANIFEST}, so not checked: {', '.join(unknown)}"


def version_states(base_path: str, pushed: Iterable[int]) -> dict[int, str]:
    """What became of every version, the newest first: `newest`, `kept`, `withdrawn` or `removed`.

    Of a folder that is not on a file system nothing is known: `pushed`.
    """
    from pipeline.push.withdraw import version_numbers, withdrawn_folder

    if "://" in base_path:
        return dict.fromkeys(sorted(pushed, reverse=True), "pushed")
    there, aside = version_numbers(base_path), version_numbers(withdrawn_folder(base_path))
    states = dict.fromkeys(pushed, "removed") | dict.fromkeys(aside, "withdrawn") | dict.fromkeys(there, "kept")
    states |= dict.fromkeys(there[-1:], "newest")
    return {version: states[version] for version in sorted(states, reverse=True)}


def _read(config: Config, log: Path) -> tuple[list["Pushed"], dict[int, Metrics]]:
    """The history, and each version's metrics where its evaluation still stands. What TFMA prints goes to the log."""
    from pipeline.push.history import read_history
    from pipeline.runners.capture import captured
    from pipeline.runners.metadata_file import metadata_problem

    metadata = Path(paths.home(config)) / "metadata.sqlite"
    if problem := metadata_problem(metadata, is_written=False):
        raise exits.CommandError(problem)
    pushed = read_history(metadata)
    with captured(log):
        metrics = {p.version: _metrics(p.evaluation) for p in pushed if p.evaluation}
    return pushed, metrics


def _metrics(uri: str) -> Metrics:
    if "://" not in uri and not Path(uri).is_dir():
        return {}
    from pipeline.evaluation.results import headlines

    return {(split, name): value for split, of in headlines(uri).items() for name, value in of.metrics.items()}


def outcomes(
    config: Config, states: Mapping[int, str], pushed: Mapping[int, "Pushed"], metrics: Mapping[int, Metrics]
) -> Table:
    """A row for each version: what became of it, and its main metrics on every split that was evaluated."""
    from trainer.metrics.names import main_metric

    main = main_metric(config)[0]
    measured = {key for found in metrics.values() for key in found if key[1] == main or key[1].endswith(_TASK_METRICS)}
    columns = sorted(measured, key=lambda key: (key[0], key[1] != main, key[1]))
    table = _table(f"Versions in {paths.serving(config)}")
    for name in ("version", "state", "pushed (UTC)", "evaluated", "infra"):
        table.add_column(name)
    for split, metric in columns:
        table.add_column(f"{split}:\n{metric}", justify="right")
    table.add_column("run")
    for version, state in states.items():
        known = pushed.get(version)
        values = [f"{metrics[version][m]:.3f}" if m in metrics.get(version, {}) else "" for m in columns]
        about = _about(known) if known else ["not in the metadata", "", ""]
        table.add_row(str(version), state, *about, *values, known.run if known else "")
    return table


def _about(pushed: "Pushed") -> list[str]:
    blessings = ("blessed" if blessed else "not blessed" for blessed in (pushed.evaluated, pushed.validated))
    return [f"{pushed.time:%Y-%m-%d %H:%M}", *blessings]


def _lineage(config: Config, pushed: Sequence["Pushed"]) -> Table:
    table = _table("Lineage (* as the code and the configuration are now)")
    for name in (
        "version",
        "model",
        "span",
        "examples",
        "transform graph",
        "Trainer's code",
        "Trainer's configuration",
    ):
        table.add_column(name)
    code, now = code_fingerprint(*TRAINER_CODE), dump_config(config, *TRAINER)
    for p in sorted(pushed, key=lambda p: -p.version):
        table.add_row(
            *(str(p.version), _place(p.model), "" if p.span is None else str(p.span), _place(p.examples)),
            *(_place(p.transform_graph), p.code + "*" * (p.code == code), _digest(p.config) + "*" * (p.config == now)),
        )
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)


def _place(uri: str) -> str:
    """`Trainer/model/26`: the artifact inside the pipeline's root."""
    return "/".join(PurePosixPath(uri).parts[-3:])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16] if text else ""
