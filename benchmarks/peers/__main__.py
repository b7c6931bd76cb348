"""`python -m benchmarks.peers`: the peers' metrics on the split files of a pipeline run."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Final, get_args

from rich.console import Console
from rich.table import Table

from benchmarks.console import plain_table
from benchmarks.peers.evaluation import History, State
from benchmarks.peers.examples import read_log
from benchmarks.peers.run import Result, names, run_rankers, run_raters
from benchmarks.protocol import Metric

RANKING: Final = ("hr@10", "ndcg@10", "recall@100")


def print_tables(results: Sequence[Result], console: Console) -> None:
    """Prints one table for each slice of users (ranking) and one for the ratings, with standard errors."""
    for part in ("warm", "cold"):
        rows = [result for result in results if "ndcg@10" in result.metrics.get(part, {})]
        if rows:
            users = rows[0].metrics[part]["ndcg@10"].count
            console.print(_table(f"{part} users: {users}", rows, [(part, metric) for metric in RANKING]))
    rated = [result for result in results if "all" in result.metrics]
    if rated:
        count = rated[0].metrics["all"]["rmse"].count
        console.print(_table(f"ratings: {count}", rated, [("all", "rmse"), ("warm", "rmse")]))


def write_json(results: Sequence[Result], source: str, path: Path) -> None:
    """Writes the results, unrounded, with where the examples are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"examples": source, "results": [asdict(result) for result in results]}
    path.write_text(json.dumps(document, indent=2) + "\n")


def _table(title: str, results: Sequence[Result], columns: Sequence[tuple[str, str]]) -> Table:
    names = [metric if metric in RANKING else f"{metric}, {part}" for part, metric in columns]
    table = plain_table(("peer", "state"), (*names, "seconds"), title)
    for result in results:
        cells = [_cell(result.metrics.get(part, {}).get(metric)) for part, metric in columns]
        table.add_row(result.peer, result.state, *cells, f"{result.seconds:.1f}")
    return table


def _cell(metric: Metric | None) -> str:
    return "" if metric is None else f"{_short(metric.mean)} ±{_short(metric.error)}"


def _short(number: float) -> str:
    return f"{number:.4f}".removeprefix("0")


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the command line and runs; the exit code."""
    options = _parser().parse_args(arguments)
    console = Console()
    log = read_log(options.examples, options.rating)
    only = options.only or names()
    results = []
    rankers = run_rankers(log, options.state, options.history, only)
    for result in chain(rankers, run_raters(log, options.state, only)):
        results.append(result)
        console.print(f"{result.peer}, {result.state}: {result.settings}", highlight=False, soft_wrap=True)
    print_tables(results, console)
    write_json(results, options.examples, options.output)
    console.print(f"written: {options.output}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--examples", required=True, metavar="FOLDER", help="the examples artifact that ingest wrote")
    parser.add_argument(
        "--state", nargs="+", choices=get_args(State), default=["train", "refit"], help="what the peers may know"
    )
    parser.add_argument(
        "--history", choices=get_args(History), default="frozen", help="whether test events before the target are known"
    )
    parser.add_argument("--only", nargs="+", choices=names(), metavar="PEER", help=f"of: {', '.join(names())}")
    parser.add_argument("--rating", default="rating", metavar="TASK", help="the task with the ratings")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/peers.json"), metavar="FILE")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
