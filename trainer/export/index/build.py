"""Builds the configured index, with parameters that are tuned on a sample of queries."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging
from numpy.typing import NDArray

from config.serving import ServingConfig
from trainer.export.index.exact import SMALL_BATCH, TOP, ExactIndex, Index, item_count
from trainer.export.index.ivf import IvfIndex
from trainer.export.index.partitions import UNIT, Floats, Partitions, partition
from trainer.export.index.quantised import MAX_SHORTLIST, Int8Index, RerankedIndex

INDEX_FILE = "index.json"
"""In the `model_run` artifact of a model with a retrieval task: the `IndexReport`."""

SMALLEST = 1 << 16
"""Smaller catalogues are searched exactly, which is as fast."""
_QUERIES = 256
_CELLS = 1 << 25
_SCAN_MISSES = 0.7
"""The share of the misses that the configured recall allows the partitions; the shortlist may make the rest."""
_LARGEST_SHARE = 0.2
"""Of the catalogue. Scanning a larger share partition by partition is slower than scanning everything at once."""
_SHORTLISTS = tuple(int(TOP * factor) for factor in (1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64))
_SHORTLIST_SHARE = 1 / 400
"""Of the catalogue. A quantised scan with a longer shortlist is not much quicker than an exact one."""


@dataclass(frozen=True)
class IndexReport:
    """A report of the index that was built.

    Attributes:
        kind: the kind of the index; not the configured one where that would be slower.
        items: V.
        recall: the share of the exact search's best 100 (or V) that the index finds, on the queries that it was tuned
            with.
        parameters: `partitions`, `probes`, `units`, `shortlist`, as far as the kind has them.
        scanned_bytes: the size of the tables that queries are compared with.
        total_bytes: the size of all tables.
        seconds: the time that it took to build.
    """

    kind: str
    items: int
    recall: float
    parameters: dict[str, int]
    scanned_bytes: int
    total_bytes: int
    seconds: float


@dataclass(frozen=True)
class Sample:
    """A sample of queries with their exact best items, by which an index is tuned and measured.

    Attributes:
        queries: float32 [N, D].
        top: int64 [N, min(100, V)], the best items.
    """

    queries: Floats
    top: NDArray[np.int64]

    @classmethod
    def of(cls, items: Floats, queries: NDArray[Any], count: int) -> "Sample":
        """Draws at most `count` of the queries [N, D], and finds the best of all items [V, D] for each."""
        positions = np.random.default_rng(0).permutation(len(queries))[:count]
        drawn = queries[positions].astype(np.float32)
        rows, table, k = max(1, _CELLS // len(items)), tf.constant(items), min(TOP, len(items))
        blocks = [drawn[i : i + rows] for i in range(0, len(drawn), rows)]
        best = [tf.math.top_k(tf.matmul(b, table, transpose_b=True), k).indices.numpy() for b in blocks]
        return cls(drawn, np.concatenate(best).astype(np.int64))

    def recall(self, index: Index) -> float:
        """Returns the share of the best items that an index finds."""
        k = tf.constant(self.top.shape[1])

        @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, self.queries.shape[1]])])
        def search(query: tf.Tensor) -> tf.Tensor:
            return index.search(query, k, tf.zeros([tf.shape(query)[0], 0], tf.int64))[1]

        found = [search(self.queries[i : i + SMALL_BATCH]).numpy() for i in range(0, len(self.queries), SMALL_BATCH)]
        hits = [np.isin(best, row).mean() for best, row in zip(self.top, np.concatenate(found), strict=True)]
        return float(np.mean(hits))


def build_index(embeddings: NDArray[Any], queries: NDArray[Any], serving: ServingConfig) -> tuple[Index, IndexReport]:
    """Builds the index that `serving.index` names.

    A catalogue of less than `SMALLEST` items is searched exactly. Where a partitioned index would have to scan more
    than a fifth of the catalogue for `serving.recall_target`, a quantised one is built instead, and where that would
    need too long a shortlist, an exact one. Parameters that the configuration sets are not tuned.

    Args:
        embeddings: float32 [V + 1, D], V > 0. The last row is the unknown item's.
        queries: float32 [N, D], a sample of the queries to expect; without one the items are used as queries.
        serving: the configuration.

    Raises:
        ValueError: `embeddings` has another shape.
    """
    begin = time.monotonic()
    embeddings = np.asarray(embeddings, np.float32)
    size = item_count(embeddings)
    if serving.index == "exact" or size < SMALLEST:
        return _reported(ExactIndex(embeddings), 1.0, begin)
    sample = Sample.of(embeddings[:-1], queries if len(queries) else embeddings[:-1], _QUERIES)
    index: Index | None = build_ivf(embeddings, sample, serving) if serving.index == "ivf" else None
    index = index or build_int8(embeddings, sample, serving) or ExactIndex(embeddings)
    return _reported(index, sample.recall(index), begin)


def build_int8(embeddings: Floats, sample: Sample, serving: ServingConfig) -> Int8Index | None:
    """Builds the quantised index; None where no shortlist of a sensible length reaches the configured recall."""
    index = Int8Index(embeddings, sample.queries, serving.shortlist or MAX_SHORTLIST)
    if serving.shortlist is not None:
        return index
    longest = max(_SHORTLISTS[0], index.size * _SHORTLIST_SHARE)
    if _choose_shortlist(index, sample, serving.recall_target, longest):
        return index
    logging.warning("an int8 index would need a shortlist of more than %d items: it is searched exactly", longest)
    return None


def build_ivf(embeddings: Floats, sample: Sample, serving: ServingConfig) -> IvfIndex | None:
    """Builds the partitioned index; None where too large a share of the catalogue would have to be scanned."""
    items = embeddings[:-1]
    spread = np.sqrt(np.square(sample.queries).mean(axis=0))
    count = min(serving.partitions or default_partitions(len(items)), len(items))
    labels = partition(items * spread, count)
    partitions = Partitions.of(items, labels)
    if serving.probes is not None:
        units, probes = -(-serving.probes * len(partitions.items) // len(partitions.centroids)), serving.probes
    else:
        found = 1 - (1 - serving.recall_target) * _SCAN_MISSES
        units, probes = fitting_units(partitions, labels, sample, found)
        if units * UNIT > _LARGEST_SHARE * len(items):
            share = 100 * units / len(partitions.items)
            logging.warning("an ivf index would have to scan %.0f %% of the items: it is int8 instead", share)
            return None
    index = IvfIndex(embeddings, sample.queries, partitions, units, probes, serving.shortlist or MAX_SHORTLIST)
    if serving.shortlist is None:
        _choose_shortlist(index, sample, serving.recall_target, MAX_SHORTLIST)
    return index


def fitting_units(partitions: Partitions, labels: NDArray[np.int64], sample: Sample, share: float) -> tuple[int, int]:
    """Finds how many units a query must scan for a share of the sample's best items, and of how many partitions.

    For example, if a query orders the partitions 3, 1, 0 and these have 2, 1 and 4 units, an item of the partition 1 is
    found by scanning 2 + 1 = 3 units. The answer is the quantile `share` of these numbers over queries and best items.

    Args:
        partitions: the partitions of the items.
        labels: int64 [V], each item's partition.
        sample: queries and their best items.
        share: in [0, 1].

    Returns:
        The numbers of units and of partitions (probes).
    """
    order = np.argsort(-(sample.queries @ partitions.centroids.T), axis=1)
    units = np.diff(partitions.first)[order].cumsum(axis=1)
    position = np.empty_like(order)
    np.put_along_axis(position, order, np.arange(order.shape[1])[np.newaxis], axis=1)
    needed = np.take_along_axis(units, np.take_along_axis(position, labels[sample.top], axis=1), axis=1)
    wanted = int(np.quantile(needed, share, method="higher"))
    return wanted, int((units < wanted).sum(axis=1).max()) + 1


def default_partitions(size: int) -> int:
    """Returns a number of partitions large enough to skip most items, and small enough to fill the units."""
    return max(1, round(min(8 * size**0.5, size / 64)))


def _choose_shortlist(index: RerankedIndex, sample: Sample, target: float, longest: float) -> bool:
    """Sets the shortest shortlist that reaches the target; the longest, and returns False, where none does."""
    for length in _SHORTLISTS:
        if length <= longest:
            index.shortlist = length
            if sample.recall(index) >= target:
                return True
    return False


def _reported(index: Index, recall: float, begin: float) -> tuple[Index, IndexReport]:
    report = IndexReport(
        kind=index.kind,
        items=index.size,
        recall=round(recall, 4),
        parameters=index.parameters,
        scanned_bytes=index.scanned_bytes,
        total_bytes=index.total_bytes,
        seconds=round(time.monotonic() - begin, 1),
    )
    logging.info("%s", report)
    return index, report
