"""The commands about pushed versions: `versions` lists them, `rollback` withdraws the newest."""

import argparse
import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from rich.table import Table

from config import Config, dump_config, paths
from config.dump import TRAINER
from config.fingerprint import TRAINER_CODE, code_fingerprint
from pipeline.cli.common import OK, CommandError, add_config, plain_console, plain_table, positive
from pipeline.lineage import Pushed, read_history
from pipeline.metadata import readable_store
from pipeline.push.withdraw import WithdrawError, version_fault, version_numbers, withdraw, withdrawn_folder

Metrics = Mapping[tuple[str, str], float]
"""By split and metric."""
_TASK_METRICS = ("/rmse", "/auc")


def versions(arguments: argparse.Namespace) -> int:
    """List the pushed versions with their blessings, main metrics and lineage.

    The folders are those that servers see; the rest is from the pipeline's ML Metadata.
    """
    from pipeline.checks.configuration import checked_config

    config = checked_config(arguments.config, with_data=False)
    folder = paths.serving(config)
    with tempfile.TemporaryDirectory() as temporary:
        pushed, metrics = _read(config, Path(temporary) / "log")
    states = version_states(folder, [p.version for p in pushed])
    if not states:
        make = f"`tfx_runner.py run --config {arguments.config}`"
        raise CommandError(f"no version was pushed to {folder}. Make one: {make}")
    console = plain_console()
    console.print(outcomes(config, states, {p.version: p for p in pushed}, metrics))
    console.print(_lineage(config, [p for p in pushed if p.version in states]))
    for line in _file_notes(folder, states):
        print(line)
    return OK


def add_rollback(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `rollback`."""
    add_config(parser)
    parser.add_argument(
        "--to", type=positive, metavar="VERSION", help="withdraw all versions newer than this one (default: the newest)"
    )
    parser.add_argument(
        "--even-the-last", action="store_true", help="withdraw the newest version even if it is the only one"
    )


def rollback(arguments: argparse.Namespace) -> int:
    """Withdraw the newest pushed version: servers go back to the one before it.

    The version is moved, in one step, to a folder beside the serving folder (`<folder>.withdrawn`) and not deleted.
    """
    from pipeline.checks.configuration import checked_config

    base_path = paths.serving(checked_config(arguments.config, with_data=False))
    try:
        gone = withdraw(base_path, arguments.to, arguments.even_the_last)
    except (WithdrawError, OSError) as error:
        raise CommandError(str(error)) from error
    for version in gone:
        print(f"withdrew version {version} to {withdrawn_folder(base_path) / str(version)}")
    left = version_numbers(base_path)
    print(f"version {left[-1]} in {base_path} is the newest now" if left else f"{base_path} holds no version any more")
    return OK


def version_states(base_path: str, pushed: Iterable[int]) -> dict[int, str]:
    """Returns the state of every version, the newest first: `newest`, `kept`, `withdrawn` or `removed`.

    In a folder that is not on a file system every version is `pushed`.
    """
    if "://" in base_path:
        return dict.fromkeys(sorted(pushed, reverse=True), "pushed")
    there, aside = version_numbers(base_path), version_numbers(withdrawn_folder(base_path))
    states = dict.fromkeys(pushed, "removed") | dict.fromkeys(aside, "withdrawn") | dict.fromkeys(there, "kept")
    states |= dict.fromkeys(there[-1:], "newest")
    return {version: states[version] for version in sorted(states, reverse=True)}


def _file_notes(base_path: str, states: Mapping[int, str]) -> Iterator[str]:
    """Yields which of the versions that servers see are damaged, and which cannot be checked."""
    from serving.manifest import MANIFEST

    folders = {v: Path(base_path) / str(v) for v, state in states.items() if state in ("newest", "kept")}
    for version, folder in folders.items():
        if fault := version_fault(folder):
            yield f"version {version} is damaged: {fault}. Servers do not load it; `tfx_runner.py rollback` withdraws"
    unknown = [str(version) for version, folder in folders.items() if not (folder / MANIFEST).is_file()]
    if unknown:
        yield f"pushed without {MANIFEST}, so not checked: {', '.join(unknown)}"


def _read(config: Config, log: Path) -> tuple[list[Pushed], dict[int, Metrics]]:
    """Reads the history, and each version's metrics where its evaluation still exists. TFMA prints to the log."""
    from pipeline.runners.capture import captured
    from pipeline.runners.metadata import database_problem

    if problem := database_problem(Path(paths.home(config)), config.pipeline.metadata, is_written=False):
        raise CommandError(problem)
    metrics: dict[int, Metrics] = {}
    with captured(log):
        store = readable_store(config)
        pushed = [] if store is None else read_history(store, config.name)
        for version in pushed:
            uri = version.evaluation
            if uri and ("://" in uri or Path(uri).is_dir()):
                from pipeline.evaluation.results import headlines

                metrics[version.version] = {
                    (split, name): value for split, of in headlines(uri).items() for name, value in of.metrics.items()
                }
    return pushed, metrics


def outcomes(
    config: Config, states: Mapping[int, str], pushed: Mapping[int, Pushed], metrics: Mapping[int, Metrics]
) -> Table:
    """Returns a table with a row for each version: its state, and its main metrics on every evaluated split."""
    from trainer.metrics.names import main_metric

    main = main_metric(config)[0]
    measured = {key for found in metrics.values() for key in found if key[1] == main or key[1].endswith(_TASK_METRICS)}
    columns = sorted(measured, key=lambda key: (key[0], key[1] != main, key[1]))
    table = plain_table(f"Versions in {paths.serving(config)}")
    for name in ("version", "state", "pushed (UTC)", "evaluated", "infra"):
        table.add_column(name)
    for split, metric in columns:
        table.add_column(f"{split}:\n{metric}", justify="right")
    table.add_column("run")
    for version, state in states.items():
        values = [f"{metrics[version][m]:.3f}" if m in metrics.get(version, {}) else "" for m in columns]
        known = pushed.get(version)
        if known is None:
            table.add_row(str(version), state, "not in the metadata", "", "", *values, "")
            continue
        if known.refresh_of is not None:
            state = f"{state}, a refresh of {known.refresh_of}"
            # Its gate is `pipeline.refresh.gate` and the infra validator's checks: without them it is not pushed.
            table.add_row(str(version), state, f"{known.time:%Y-%m-%d %H:%M}", "", "blessed", *values, known.run)
            continue
        blessings = ["blessed" if blessed else "not blessed" for blessed in (known.evaluated, known.validated)]
        table.add_row(str(version), state, f"{known.time:%Y-%m-%d %H:%M}", *blessings, *values, known.run)
    return table


def _lineage(config: Config, pushed: Sequence[Pushed]) -> Table:
    """Returns a table with the artifacts, the code and the configuration that each version was made from."""

    def artifact(uri: str) -> str:
        return "/".join(PurePosixPath(uri).parts[-3:])  # `Trainer/model/26`, inside the pipeline's root

    def digest(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()[:16] if text else ""

    inputs = ("model", "span", "examples", "transform graph", "Trainer's code", "Trainer's configuration")
    table = plain_table("Lineage (* as the code and the configuration are now)")
    for name in ("version", *inputs):
        table.add_column(name)
    code, now = code_fingerprint(*TRAINER_CODE), dump_config(config, *TRAINER)
    for p in sorted(pushed, key=lambda p: -p.version):
        table.add_row(
            *(str(p.version), artifact(p.model), "" if p.span is None else str(p.span), artifact(p.examples)),
            *(artifact(p.transform_graph), p.code + "*" * (p.code == code), digest(p.config) + "*" * (p.config == now)),
        )
    return table
