"""Keeps the k-core: users and items with enough events, counted again after every round of removals.

All events of a user are in one bucket and counted there. Items are counted across buckets, by hash; the hashes of the
items to remove go back to the buckets as a side input.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

import apache_beam as beam
import numpy as np
import pyarrow as pa

from config.data import Core
from pipeline.ingest.events import ITEM, USER
from pipeline.ingest.findings import Counts
from pipeline.ingest.shuffle import from_bytes, hash_column, to_bytes
from pipeline.ingest.steps import COUNTS, tagged_counts
from pipeline.ingest.verdicts import IngestError

_SHARDS: Final = 64


class KeepCore(beam.PTransform):
    """Drops events from buckets of events, (bucket, bytes); returns the buckets and a PCollection of counts.

    Each round drops the users with fewer than `core.users` events, then the items with fewer than `core.items`. Users
    are counted once more after the last round.

    Args:
      core: The bounds and the number of rounds.
      max_items: The greatest number of items that one round may remove.
    """

    def __init__(self, core: Core, max_items: int) -> None:
        super().__init__()
        self._core = core
        self._max_items = max_items

    def expand(self, buckets: Any) -> Any:
        """Builds one step for each round."""
        rare, counts = buckets.pipeline | "None" >> beam.Create([np.array([], np.uint64)]), []
        for number in range(self._core.rounds + 1):
            dropped = buckets | f"Drop{number}" >> beam.ParDo(
                _Drop(self._core.users), beam.pvalue.AsSingleton(rare)
            ).with_outputs(COUNTS, main="events")
            buckets = dropped.events
            counts.append(dropped[COUNTS])
            if number < self._core.rounds:
                rare = self._rare_items(buckets, number)
        return buckets, counts | "Counts" >> beam.Flatten()

    def _rare_items(self, buckets: Any, number: int) -> Any:
        return (
            buckets
            | f"Count{number}" >> beam.FlatMap(_item_counts)
            | f"Group{number}" >> beam.GroupByKey()
            | f"Rare{number}" >> beam.Map(_rare_hashes, self._core.items)
            | f"Gather{number}" >> beam.CombineGlobally(_concatenate)
            | f"Check{number}" >> beam.Map(_check_bound, self._max_items)
        )


class _Drop(beam.DoFn):
    def __init__(self, min_users: int) -> None:
        self._min_users = min_users

    def process(self, element: tuple[int, bytes], rare: np.ndarray) -> Iterator[Any]:
        bucket, data = element
        table = from_bytes([data])
        kept = table.filter(pa.array(~np.isin(hash_column(table[ITEM]), rare)))
        if len(kept):
            users = kept[USER].combine_chunks().dictionary_encode().indices.to_numpy()
            kept = kept.filter(pa.array(np.bincount(users)[users] >= self._min_users))
        counts: Counts = Counter({("interactions", "dropped", "core"): len(table) - len(kept)})
        yield tagged_counts(+counts)
        if len(kept):
            yield bucket, to_bytes(kept) if len(kept) < len(table) else data


def _item_counts(element: tuple[int, bytes]) -> Iterator[tuple[int, tuple[np.ndarray, np.ndarray]]]:
    """Returns the hashes of a bucket's items and their numbers of events, sharded by hash."""
    hashes, counts = np.unique(hash_column(from_bytes([element[1]])[ITEM]), return_counts=True)
    shard = (hashes % np.uint64(_SHARDS)).astype(np.int64)
    for number in np.unique(shard).tolist():
        yield number, (hashes[shard == number], counts[shard == number])


def _rare_hashes(group: tuple[int, Iterable[tuple[np.ndarray, np.ndarray]]], min_events: int) -> np.ndarray:
    """Returns the hashes of the items of a shard with fewer events."""
    hashes, counts = (np.concatenate(arrays) for arrays in zip(*group[1], strict=True))
    items, codes = np.unique(hashes, return_inverse=True)
    return items[np.bincount(codes, counts) < min_events]


def _concatenate(arrays: Iterable[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.array([], np.uint64), *arrays])


def _check_bound(items: np.ndarray, bound: int) -> np.ndarray:
    if len(items) > bound:
        raise IngestError(
            f"`cleaning.core` removes {len(items)} items in one round, more than `data.max_side_table_rows` ({bound})"
        )
    return items
