"""The indexes that are compared, each as a search of plain arrays."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import trainer  # noqa: F401  (selects Keras 2 before TensorFlow is imported)

import tensorflow as tf  # isort: skip
import tensorflow_recommenders as tfrs  # isort: skip

from benchmarks.index.data import Floats
from config.serving import ServingConfig
from trainer.export.index.build import build_index

K = 100
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
