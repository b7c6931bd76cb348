"""From the configuration to an index whose parameters suit the catalogue."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from absl import logging
from numpy.typing import NDArray

from config.serving import ServingConfig
from trainer.export.index.exact import ExactIndex, Index, item_count
from trainer.export.index.int8 import Int8Index
from trainer.export.index.ivf import IvfIndex, fitting_units
from trainer.export.index.kmeans import partition
from trainer.export.index.rerank import LONGEST, RerankedIndex
from trainer.export.index.residuals import UNIT, Partitions
from trainer.export.index.sample import TOP, Floats, Sample

INDEX_FILE = "index.json"
"""In the `model_run` artifact of a model with a retrieval task: what `IndexReport` says."""

SMALLEST = 1 << 16
"""With fewer items the exact search is as fast as any."""
_QUERIES = 256
_SCAN_MISSES = 0.7
"""The partitions' part of the misses that the configured recall allows; the rest is the shortlist's."""
_LARGEST_SHARE = 0.2
"""Of the catalogue. To scan a larger share partition by partition is slower than to scan everything in one go."""
_SHORTLISTS = tuple(int(TOP * factor) for factor in (1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64))
_SHORTLIST_SHARE = 1 / 400
"""Of the catalogue. A quantised scan with a longer shortlist is not much quicker than an exact one."""


@dataclass(frozen=True)
class IndexReport:
    """What was built.

    Attributes:
        kind: of the index that serves; not the configured one where that would be slower.
        items: V.
        recall: on the queries that the parameters were chosen with, the share of the exact search's best 100 (or V)
            that the index finds.
        parameters: by name: `partitions`, `units`, `shortlist`.
        scanned_bytes: of the tables that queries are compared with.
        total_bytes: of all tables.
        seconds: to build it.
    """

    kind: str
    items: int
    recall: float
    parameters: dict[str, int]
    scanned_bytes: int
    total_bytes: int
    seconds: float


def build_index(embeddings: NDArray[Any], queries: NDArray[Any], serving: ServingConfig) -> tuple[Index, IndexReport]:
    """Builds the index that `serving.index` names.

    A catalogue of less than `SMALLEST` items is searched exactly. Where a partitioned index would have to scan more
    than a fifth of the catalogue for `serving.recall_target`, a quantised one takes its position, and where that would
    need too long a shortlist, an exact one. Parameters that the configuration sets are taken as they are.

    Args:
        embeddings: float32 [V + 1, D], V > 0. The last row is the unknown item's.
        queries: float32 [N, D], a sample of those that the index will meet; without one the items stand for queries.
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
    """The quantised index; None where no shortlist of a sensible length reaches the configured recall."""
    index = Int8Index(embeddings, sample.queries, serving.shortlist or LONGEST)
    if serving.shortlist is not None:
        return index
    longest = max(_SHORTLISTS[0], index.size * _SHORTLIST_SHARE)
    if _choose_shortlist(index, sample, serving.recall_target, longest):
        return index
    logging.warning("an int8 index would need a shortlist of more than %d items: it is searched exactly", longest)
    return None


def build_ivf(embeddings: Floats, sample: Sample, serving: ServingConfig) -> IvfIndex | None:
    """The partitioned index; None where too large a share of the catalogue would have to be scanned."""
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
    index = IvfIndex(embeddings, sample.queries, partitions, units, probes, serving.shortlist or LONGEST)
    if serving.shortlist is None:
        _choose_shortlist(index, sample, serving.recall_target, LONGEST)
    return index


def default_partitions(size: int) -> int:
    """Enough that few items share one with the best, but not so many that units stay empty or centroids cost more."""
    return max(1, round(min(8 * size**0.5, size / 64)))


def _choose_shortlist(index: RerankedIndex, sample: Sample, target: float, longest: float) -> bool:
    """Sets the shortest shortlist that reaches the target; False, and the longest one, where none does."""
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
