"""Cross-validate: the pipeline once for each fold, mean and deviation of its metrics.

A fold is an ordinary run in a folder of its own: finished folds come from the cache. Splits by time have expanding
windows (each fold sees more of the log and tests on what comes next), `random` and `user_hash` ordinary folds.
"""

import argparse
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from rich import box
from rich.table import Table

from config import Config, ConfigError
from pipeline import crossval
from pipeline.cli import exits
from pipeline.cli.console import plain_console
from pipeline.cli.options import add_config, positive
from pipeline.crossval import Summary

FILE = "crossval.json"
_PIPE_WIDTH = 160
"""Characters, where the output is no terminal."""
Summaries = Mapping[Literal["eval", "test"], Mapping[str, Summary]]
"""By split and metric."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which pipeline, and how many folds."""
    add_config(parser)
    parser.add_argument("--folds", type=positive, default=5, metavar="K", help="at least 2 (default: %(default)s)")
    parser.add_argument("--verbose", action="store_true", help="show the whole log on the terminal, too")


def execute(arguments: argparse.Namespace) -> int:
    """Runs the folds and prints a table; raises `ConfigError`, or `CommandError` when a fold fails."""
    from pipeline.checks.configuration import checked_config

    if arguments.folds < 2:
        raise ConfigError(f"`--folds` should be at least 2. Received: {arguments.folds}")
    config = checked_config(arguments.config, writes=True)
    configs = list(crossval.fold_configs(config, arguments.folds))
    folds = []
    for number, fold in enumerate(configs, start=1):
        print(f"fold {number} of {len(configs)}")
        folds.append(_run(fold, arguments.verbose))
    summaries = {split: crossval.summarise([fold[split] for fold in folds]) for split in config.evaluation.splits}
    path = Path(crossval.home(config, arguments.folds), FILE)
    path.write_text(json.dumps(as_json(summaries), indent=2) + "\n", encoding="utf-8")
    console = plain_console()
    console = console if console.is_terminal else plain_console(width=_PIPE_WIDTH)
    for split, summary in summaries.items():
        console.print(table(split, summary))
    print(f"the folds' metrics: {path}")
    return exits.OK


def _run(config: Config, verbose: bool) -> dict[str, dict[str, float]]:
    """The metrics of one fold, by split."""
    from pipeline.cli.finished import finished_run
    from pipeline.evaluation.results import headline

    outcome = finished_run(config, verbose)
    evaluation = outcome.outputs["Evaluator"]["evaluation"][0].uri
    return {split: headline(evaluation, split) for split in config.evaluation.splits}


def as_json(summaries: Summaries) -> dict[str, dict[str, object]]:
    """By split and metric: the folds' values, their mean and their deviation, null where undefined."""
    return {split: {name: _entry(found) for name, found in metrics.items()} for split, metrics in summaries.items()}


def table(split: str, metrics: Mapping[str, Summary]) -> Table:
    """One row for each metric: mean, deviation and every fold's value."""
    folds = max((len(found.values) for found in metrics.values()), default=0)
    columns = ["mean", "deviation", *(f"fold {number}" for number in range(1, folds + 1))]
    result = Table(title=f"{split}, {folds} folds", title_justify="left", box=box.SIMPLE_HEAD)
    result.add_column("metric", no_wrap=True)
    for name in columns:
        result.add_column(name, justify="right", no_wrap=True)
    for name, found in metrics.items():
        result.add_row(name, *map(_word, (found.mean, found.deviation, *found.values)))
    return result


def _entry(found: Summary) -> dict[str, object]:
    return {"mean": found.mean, "deviation": _number(found.deviation), "values": list(map(_number, found.values))}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _word(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}"
