"""What the defaults choose where choosing is hard, beside popularity and a bias model.

    python tfx_runner.py data --config examples/movielens-100k.yaml
    python -m benchmarks.choices --seeds 1 2 3

The logs are those of the study `choices` (`benchmarks/quality/studies.yaml`), which are made where they are missing.
Each metric is on test, of models that were chosen on eval; none of them should be below a baseline by more than a
standard error over users.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Final

from rich.table import Table

from benchmarks.console import plain_table, wide_console
from benchmarks.data import write_missing
from benchmarks.peers import ranking, rating
from benchmarks.peers.evaluation import final_evaluation
from benchmarks.peers.examples import read_log
from benchmarks.peers.rankers import Popularity, RecentPopularity
from benchmarks.peers.run import RATERS
from benchmarks.protocol import Metric
from benchmarks.quality.__main__ import run_one
from benchmarks.quality.studies import read_studies

STUDY: Final = "choices"
NDCG: Final = "ndcg@10"
RMSE: Final = "rating/rmse"
_SLICES: Final = ("warm", "cold")
_RECENT: Final = 30.0


@dataclass(frozen=True)
class Row:
    """A metric of one log.

    Attributes:
      log: The variant of the study.
      slice: Of the users.
      metric: `NDCG` or `RMSE`.
      count: Users, or ratings.
      model: Of each seed.
      baselines: By name.
      error: The greatest standard error of the model's metrics and the baselines'.
    """

    log: str
    slice: str
    metric: str
    count: int
    model: list[float]
    baselines: dict[str, float]
    error: float

    @property
    def beaten_by(self) -> list[str]:
        """The baselines that are better by more than a standard error."""
        own, sign = mean(self.model), -1 if self.metric == RMSE else 1
        return [name for name, value in self.baselines.items() if sign * (value - own) > self.error]


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the command line and runs; the exit code, 1 where a baseline is better."""
    variants = list(read_studies()[STUDY].variants)
    options = _parser(variants).parse_args(arguments)
    write_missing()
    rows: list[Row] = []
    console = wide_console(140)
    for variant in options.only or variants:
        results = [run_one(STUDY, variant, seed) for seed in options.seeds]
        rows += rows_of(variant, results)
        console.print(_table(rows))
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    beaten = [f"{row.log}, {row.slice}, {row.metric}: {', '.join(row.beaten_by)}" for row in rows if row.beaten_by]
    console.print("\n".join(beaten) or "never below a baseline by more than a standard error")
    return 1 if beaten else 0


def _parser(variants: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.choices", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=variants, metavar="LOG", help=f"of: {'; '.join(variants)}")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], help="one training for each")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/choices.json"), metavar="FILE")
    return parser


def rows_of(log: str, results: Sequence[dict[str, Any]]) -> Iterator[Row]:
    """The rows of one log.

    Args:
      log: Its name.
      results: What `benchmarks.quality.studies` wrote, of each seed; all have the same split.
    """
    baselines = _baselines(results[0]["examples"])
    for part, metric in (*((part, NDCG) for part in _SLICES), ("all", RMSE)):
        known = {name: found[part] for name, found in baselines[metric].items() if part in found}
        values = [result["slices"].get(part, {}) for result in results]
        if known and all(metric in value for value in values):
            errors = [value.get(f"stderr_{metric}", 0.0) for value in values] + [f.error for f in known.values()]
            count = next(iter(known.values())).count
            means = {name: found.mean for name, found in known.items()}
            yield Row(log, part, metric, count, [value[metric] for value in values], means, max(errors))


def _baselines(examples: str) -> dict[str, dict[str, dict[str, Metric]]]:
    """By metric, name and slice."""
    log = read_log(examples, "rating")
    evaluation, ratings = final_evaluation(log, "train"), rating.final_evaluation(log, "train")
    ranked = {}
    for name, ranker in (("popularity", Popularity()), ("recent popularity", RecentPopularity(_RECENT))):
        ranker.fit(evaluation.training)
        ranked[name] = {part: found[NDCG] for part, found in ranking.metrics(ranker, evaluation).items()}
    bias = rating.choose(RATERS["bias"](), rating.selection_evaluation(log))
    bias.fit(ratings.training)
    rated = {part: found["rmse"] for part, found in rating.metrics(bias, ratings).items()}
    return {NDCG: ranked, RMSE: {"bias model": rated}}


def _table(rows: Sequence[Row]) -> Table:
    names = list(dict.fromkeys(name for row in rows for name in row.baselines))
    table = plain_table(("log", "of", "metric"), ("model", *names, "standard error", "below"))
    for row in rows:
        users = f"{row.count:,} {'ratings' if row.metric == RMSE else f'{row.slice} users'}"
        spread = f" ±{stdev(row.model):.4f}" if len(row.model) > 1 else ""
        known = [f"{row.baselines[name]:.4f}" if name in row.baselines else "" for name in names]
        cells = [row.log, users, row.metric, f"{mean(row.model):.4f}{spread}", *known, f"{row.error:.4f}"]
        table.add_row(*cells, ", ".join(row.beaten_by))
    return table


if __name__ == "__main__":
    raise SystemExit(main())
