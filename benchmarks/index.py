"""The time, the size and the recall of the served indexes beside TFRS's layers and faiss, in one process.

    python -m benchmarks.index --items 10000 100000 1000000 4000000

Indexes are timed in turns, a burst of calls each with ever other queries, so that a busy machine slows all alike; a
burst's first calls, which find the caches full of another index, do not count. Every index has the threads that
TensorFlow and faiss take by default. `x` is how often an index is as fast as TFRS's BruteForce.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import trainer  # noqa: F401  (selects Keras 2 before TensorFlow is imported)

import tensorflow as tf  # isort: skip
import tensorflow_recommenders as tfrs  # isort: skip
import argparse

from rich.progress import Progress
from rich.table import Table

from benchmarks.console import wide_console
from benchmarks.data import KINDS, Floats
from config.serving import ServingConfig
from trainer.export.index.build import build_index

K = 100
_TUNED = 256
"""Queries that indexes are built with; others are timed and counted."""
_COUNTED = 256
_MEGABYTE = 1 << 20
_WARM_UP = 3
_WIDTH = 180
Search = Callable[[Floats], NDArray[Any]]


@dataclass(frozen=True)
class Candidate:
    """A built index.

    Attributes:
        name: as the table shows it.
        search: float32 [B, D] -> the best 100 items, int [B, 100].
        seconds: to build it.
        scanned: bytes that a query is compared with.
        total: bytes of the index with what it scores again exactly.
        note: its parameters.
    """

    name: str
    search: Search
    seconds: float
    scanned: int
    total: int
    note: str = ""


def brute_force(items: Floats) -> Candidate:
    """TFRS's layer."""
    begin = time.perf_counter()
    layer = tfrs.layers.factorized_top_k.BruteForce(k=K).index(tf.constant(items))
    call = tf.function(layer.call, input_signature=[tf.TensorSpec([None, items.shape[1]])], autograph=False)
    seconds = time.perf_counter() - begin
    return Candidate("tfrs BruteForce", lambda q: call(q)[1].numpy(), seconds, items.nbytes, items.nbytes)


def served(kind: str, items: Floats, queries: Floats, target: float) -> Candidate:
    """`serving.index`, built as at export."""
    table = np.concatenate([items, np.zeros((1, items.shape[1]), np.float32)])
    index, report = build_index(table, queries, ServingConfig(index=kind, recall_target=target))

    @tf.function(input_signature=[tf.TensorSpec([None, items.shape[1]])], autograph=False)
    def search(query: tf.Tensor) -> tf.Tensor:
        return index.search(query, tf.constant(K), tf.zeros([tf.shape(query)[0], 0], tf.int64))[1]

    note = ", ".join(f"{name} {value:,}" for name, value in report.parameters.items())
    note = note if report.kind == kind else f"is {report.kind}: faster here"
    return Candidate(kind, lambda q: search(q).numpy(), report.seconds, report.scanned_bytes, report.total_bytes, note)


def faiss_ivf(items: Floats, queries: Floats, target: float) -> Iterator[Candidate]:
    """An outside yardstick in C++: faiss' inverted file of floats, searched as deep as the target asks."""
    try:
        import faiss
    except ImportError:
        return
    begin = time.perf_counter()
    count = max(16, int(4 * len(items) ** 0.5))
    index = faiss.index_factory(items.shape[1], f"IVF{count},Flat", faiss.METRIC_INNER_PRODUCT)
    index.train(items[np.random.default_rng(0).permutation(len(items))[: 40 * count]])
    index.add(items)
    best = exact_best(items, queries)
    for index.nprobe in (1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512, count):
        if recall(index.search(queries, K)[1], best) >= target:
            break
    seconds = time.perf_counter() - begin
    note = f"partitions {count:,}, probes {index.nprobe:,}"
    yield Candidate("faiss IVF", lambda q: index.search(q, K)[1], seconds, items.nbytes, items.nbytes, note)


def scann(items: Floats) -> Iterator[Candidate]:
    """TFRS's layer, where the scann package loads; a stock TensorFlow Serving has none of its ops."""
    leaves = max(16, int(len(items) ** 0.5))
    begin = time.perf_counter()
    try:
        layer = tfrs.layers.factorized_top_k.ScaNN(
            k=K, num_leaves=leaves, num_leaves_to_search=max(1, leaves // 20), num_reordering_candidates=4 * K
        )
    except (ImportError, tf.errors.NotFoundError):
        return
    layer.index(tf.constant(items))
    seconds = time.perf_counter() - begin
    yield Candidate("tfrs ScaNN", lambda q: layer(tf.constant(q))[1].numpy(), seconds, items.nbytes, items.nbytes)


def exact_best(items: Floats, queries: Floats) -> NDArray[Any]:
    """The exact best 100: int [N, 100]."""
    table = tf.constant(items)
    rows = max(1, (1 << 26) // len(items))
    blocks = (queries[i : i + rows] for i in range(0, len(queries), rows))
    return np.concatenate([tf.math.top_k(tf.matmul(b, table, transpose_b=True), K).indices.numpy() for b in blocks])


def recall(found: NDArray[Any], best: NDArray[Any]) -> float:
    """The mean share of the best that was found."""
    return float(np.mean([np.isin(b, f).mean() for b, f in zip(best, found, strict=True)]))


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
