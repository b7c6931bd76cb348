"""Results as tables for a terminal and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.peers.run import Result
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
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("peer", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for part, metric in columns:
        table.add_column(metric if metric in RANKING else f"{metric}, {part}", justify="right", no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)
    for result in results:
        cells = [_cell(result.metrics.get(part, {}).get(metric)) for part, metric in columns]
        table.add_row(result.peer, result.state, *cells, f"{result.seconds:.1f}")
    return table


def _cell(metric: Metric | None) -> str:
    return "" if metric is None else f"{_short(metric.mean)} ±{_short(metric.error)}"


def _short(number: float) -> str:
    return f"{number:.4f}".removeprefix("0")
