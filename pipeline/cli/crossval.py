"""The command `crossval`: a run for each fold, and the mean and the deviation of their metrics."""

import argparse
import json
import math
import posixpath
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError
from rich.table import Table

from config import Config, ConfigError, paths
from pipeline.cli.common import OK, add_config, add_verbose, plain_console, plain_table, positive
from pipeline.cli.run import finished_run

FILE = "crossval.json"


@dataclass(frozen=True)
class Summary:
    """A metric over the folds.

    Attributes:
      values: One value for each fold, NaN where the metric was not measured; at least one is a number.
    """

    values: tuple[float, ...]

    @property
    def measured(self) -> list[float]:
        """The values that are numbers."""
        return [value for value in self.values if not math.isnan(value)]

    @property
    def mean(self) -> float:
        """The mean over the folds that measured it."""
        return statistics.fmean(self.measured)

    @property
    def deviation(self) -> float:
        """The sample standard deviation over the folds that measured it; NaN of a single one."""
        return statistics.stdev(self.measured) if len(self.measured) > 1 else math.nan


Summaries = Mapping[Literal["eval", "test"], Mapping[str, Summary]]
"""By split and metric."""


def add_crossval(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `crossval`."""
    add_config(parser)
    parser.add_argument("--folds", type=positive, default=5, metavar="K", help="at least 2 (default: %(default)s)")
    add_verbose(parser)


def crossval(arguments: argparse.Namespace) -> int:
    """Cross-validate: the pipeline once for each fold, mean and deviation of its metrics.

    A fold is an ordinary run in a folder of its own: finished folds come from the cache. Splits by time have expanding
    windows (each fold sees more of the log and tests on what comes next), `random` and `user_hash` ordinary folds.
    """
    from pipeline.checks.configuration import checked_config

    if arguments.folds < 2:
        raise ConfigError(f"`--folds` should be at least 2. Received: {arguments.folds}")
    config = checked_config(arguments.config, writes=True)
    configs = list(fold_configs(config, arguments.folds))
    folds = []
    for number, fold in enumerate(configs, start=1):
        print(f"fold {number} of {len(configs)}")
        outcome = finished_run(fold, arguments.verbose)
        from pipeline.evaluation.results import headline

        evaluation = outcome.outputs["Evaluator"]["evaluation"][0].uri
        folds.append({split: headline(evaluation, split) for split in config.evaluation.splits})
    summaries = {split: summarise([fold[split] for fold in folds]) for split in config.evaluation.splits}
    path = Path(home(config, arguments.folds), FILE)
    path.write_text(json.dumps(as_json(summaries), indent=2) + "\n", encoding="utf-8")
    for split, summary in summaries.items():
        plain_console().print(table(split, summary))
    print(f"the folds' metrics: {path}")
    return OK


def home(config: Config, folds: int) -> str:
    """Returns the folder of a cross-validation: the folds' runs and the summary."""
    return posixpath.join(paths.home(config), f"crossval-{folds}")


def fold_configs(config: Config, folds: int) -> Iterator[Config]:
    """Yields an ordinary configuration for each fold, with a folder of its own, also for what it pushes.

    Raises:
      ConfigError: A fold's split leaves no training events.
    """
    values = config.model_dump(mode="json", exclude_unset=True)
    for number in range(1, folds + 1):
        split = {**values.get("split", {}), "fold": {"number": number, "of": folds}}
        pipeline = {**values.get("pipeline", {}), "root": home(config, folds)}
        serving = {**values.get("serving", {}), "folder": None}
        changes = {"name": f"fold-{number}", "split": split, "pipeline": pipeline, "serving": serving}
        try:
            yield Config.model_validate({**values, **changes})
        except ValidationError as error:
            found = "; ".join(problem["msg"] for problem in error.errors())
            raise ConfigError(f"{folds} folds do not go with `split`: {found}") from error


def summarise(metrics: Sequence[Mapping[str, float]]) -> dict[str, Summary]:
    """Summarises each metric that a fold measured over the folds."""
    names = dict.fromkeys(name for fold in metrics for name in fold if not name.startswith(("stderr_", "lift_")))
    summaries = {name: Summary(tuple(fold.get(name, math.nan) for fold in metrics)) for name in names}
    return {name: found for name, found in summaries.items() if found.measured}


def as_json(summaries: Summaries) -> dict[str, dict[str, object]]:
    """Returns the folds' values, their mean and their deviation by split and metric, null where undefined."""

    def number(value: float) -> float | None:
        return None if math.isnan(value) else value

    return {
        split: {
            name: {"mean": m.mean, "deviation": number(m.deviation), "values": list(map(number, m.values))}
            for name, m in metrics.items()
        }
        for split, metrics in summaries.items()
    }


def table(split: str, metrics: Mapping[str, Summary]) -> Table:
    """Returns a table with a row for each metric: mean, deviation and every fold's value."""
    folds = max((len(found.values) for found in metrics.values()), default=0)
    result = plain_table(f"{split}, {folds} folds")
    result.add_column("metric", no_wrap=True)
    for name in ("mean", "deviation", *(f"fold {number}" for number in range(1, folds + 1))):
        result.add_column(name, justify="right", no_wrap=True)
    for name, found in metrics.items():
        values = (found.mean, found.deviation, *found.values)
        result.add_row(name, *("" if math.isnan(value) else f"{value:.4f}" for value in values))
    return result
