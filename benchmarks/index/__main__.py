"""The time, the size and the recall of the served indexes beside TFRS's layers and faiss, in one process.

    python -m benchmarks.index --items 10000 100000 1000000 4000000

Indexes are timed in turns, a burst of calls each with ever other queries, so that a busy machine slows all alike; a
burst's first calls, which find the caches full of another index, do not count. Every index has the threads that
TensorFlow and faiss take by default. `x` is how often an index is as fast as TFRS's BruteForce.
"""

import argparse
import time
from collections.abc import Iterator

import numpy as np
from rich.progress import Progress
from rich.table import Table

from benchmarks.console import wide_console
from benchmarks.index.candidates import (
    Candidate,
    brute_force,
    exact_best,
    faiss_ivf,
    recall,
    scann,
    served,
)
from benchmarks.index.data import KINDS, Floats

_TUNED = 256
"""Queries that indexes are built with; others are timed and counted."""
_COUNTED = 256
_MEGABYTE = 1 << 20
_WARM_UP = 3
_WIDTH = 180


def main() -> None:
    """Prints a table for each number of items."""
    arguments = _parser().parse_args()
    console = wide_console(_WIDTH)
    for size in arguments.items:
        with Progress(console=console, transient=True) as progress:
            console.print(_table(size, arguments, progress))
    console.print(
        "tfrs ScaNN and faiss have a row where the packages `scann` and `faiss-cpu` load; neither is needed otherwise."
    )


def _table(size: int, arguments: argparse.Namespace, progress: Progress) -> Table:
    items, queries = KINDS[arguments.data](size, _TUNED + _COUNTED, arguments.dimension)
    tuned, counted = queries[:_TUNED], queries[_TUNED:]
    task = progress.add_task(f"{size:,} items: build", total=6)
    candidates = []
    for candidate in _candidates(items, tuned, arguments.recall):
        candidates.append(candidate)
        progress.update(task, advance=1, description=f"{size:,} items: {candidate.name} built")
    best = exact_best(items, counted)
    found = [recall(_search(c, counted), best) for c in candidates]
    progress.update(task, description=f"{size:,} items: timing")
    times = [_times(candidates, counted, batch, arguments.seconds) for batch in arguments.batch]
    table = Table(title=f"{size:,} {arguments.data} items of {arguments.dimension} dimensions, the best 100")
    columns = ["build s", "scanned MB", "total MB", "recall@100"]
    columns += [f"{head} {batch}" for batch in arguments.batch for head in ("best ms @", "p50 ms @", "x @")]
    table.add_column("index")
    for column in columns:
        table.add_column(column, justify="right")
    table.add_column("parameters")
    for row, candidate in enumerate(candidates):
        metrics = [_metrics(timed[row], timed[0]) for timed in times]
        table.add_row(
            candidate.name,
            f"{candidate.seconds:.1f}",
            f"{candidate.scanned / _MEGABYTE:.1f}",
            f"{candidate.total / _MEGABYTE:.1f}",
            f"{found[row]:.4f}",
            *(metric for batch in metrics for metric in batch),
            candidate.note,
        )
    return table


def _candidates(items: Floats, queries: Floats, target: float) -> Iterator[Candidate]:
    yield brute_force(items)
    for kind in ("exact", "int8", "ivf"):
        yield served(kind, items, queries, target)
    yield from scann(items)
    yield from faiss_ivf(items, queries, target)


def _search(candidate: Candidate, queries: Floats) -> np.ndarray:
    return np.concatenate([candidate.search(query[np.newaxis]) for query in queries])


def _times(candidates: list[Candidate], queries: Floats, batch: int, seconds: float) -> list[np.ndarray]:
    """Seconds of each call, by candidate, after some `seconds` for each."""
    spent: list[list[float]] = [[] for _ in candidates]
    turns = 10
    generator = np.random.default_rng(0)
    for _ in range(turns):
        for candidate, times in zip(candidates, spent, strict=True):
            end = time.perf_counter() + seconds / turns
            calls = 0
            while calls < _WARM_UP + 2 or time.perf_counter() < end:
                query = queries[generator.integers(0, len(queries), batch)]
                begin = time.perf_counter()
                candidate.search(query)
                if calls >= _WARM_UP:
                    times.append(time.perf_counter() - begin)
                calls += 1
    return [np.array(times) for times in spent]


def _metrics(times: np.ndarray, baseline: np.ndarray) -> tuple[str, str, str]:
    """The fastest and the median milliseconds, and how often as fast as the baseline by the medians."""
    ratio = np.median(baseline) / np.median(times)
    return f"{times.min() * 1e3:.2f}", f"{np.median(times) * 1e3:.2f}", f"{ratio:.1f}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = [10**4, 10**5, 10**6, 4 * 10**6]
    parser.add_argument("--items", type=int, nargs="+", default=sizes, help="sizes of the catalogue")
    parser.add_argument("--data", choices=KINDS, default="clustered", help="what the embeddings are like")
    parser.add_argument("--dimension", type=int, default=64, help="of the embeddings")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 64], help="queries in a call")
    parser.add_argument("--recall", type=float, default=0.97, help="`serving.recall_target`")
    parser.add_argument("--seconds", type=float, default=3.0, help="of timing for each index and batch size")
    return parser


if __name__ == "__main__":
    main()
