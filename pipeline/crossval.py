"""Cross-validation: the configuration of each fold, and what the folds' metrics say together."""

import math
import posixpath
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from config import Config, ConfigError, paths

Metrics = Mapping[str, float]


@dataclass(frozen=True)
class Summary:
    """A metric over the folds."""

    values: tuple[float, ...]
    """One for each fold, NaN where it was not measured; at least one is a number."""

    @property
    def measured(self) -> list[float]:
        """The values that are numbers."""
        return [value for value in self.values if not math.isnan(value)]

    @property
    def mean(self) -> float:
        """Over the folds that measured it."""
        return statistics.fmean(self.measured)

    @property
    def deviation(self) -> float:
        """The sample standard deviation over the folds that measured it; NaN of a single one."""
        return statistics.stdev(self.measured) if len(self.measured) > 1 else math.nan


def home(config: Config, folds: int) -> str:
    """The folder of a cross-validation: the folds' runs and the summary."""
    return posixpath.join(paths.home(config), f"crossval-{folds}")


def fold_configs(config: Config, folds: int) -> Iterator[Config]:
    """An ordinary configuration for each fold, with a folder of its own, also for what it pushes.

    Raises:
      ConfigError: A fold's split leaves nothing to train on.
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


def summarise(metrics: Sequence[Metrics]) -> dict[str, Summary]:
    """Each metric that a fold measured, over the folds' metrics."""
    names = dict.fromkeys(name for fold in metrics for name in fold if not name.startswith(("stderr_", "lift_")))
    summaries = {name: Summary(tuple(fold.get(name, math.nan) for fold in metrics)) for name in names}
    return {name: found for name, found in summaries.items() if found.measured}
