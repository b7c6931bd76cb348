"""The events of a bucket of users in their final order, duplicates gone."""

from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.ingest.events import FILE, FRACTION, ITEM, ROW, TIME, USER
from pipeline.ingest.report import Counts
from pipeline.ingest.splits import Events

ORDINAL = "ordinal"


def sort_events(
    table: pa.Table, offsets: np.ndarray, drop_duplicates: bool, tie_seed: int | None = None
) -> tuple[pa.Table, Counts]:
    """Sorts by (user, time, original row), or with a `tie_seed` by (user, time, chance); the time to its fraction.

    Args:
      table: Of `clean_events`, whole users, in any order.
      offsets: The number of rows in all files before each file, int64 [files].
      drop_duplicates: Keep only the first row of the events with the same user, item and time.
      tie_seed: Of the chance; the same row always has the same.

    Returns:
      The table with `ordinal`, the row's place among all files' rows (int64), instead of `fraction`, `file` and `row`;
      and the number of duplicates.
    """
    ordinal = offsets[table[FILE].to_numpy()] + table[ROW].to_numpy()
    keys = {name: _codes(table[name]) for name in (USER, ITEM)}
    keys |= {name: table[name].to_numpy() for name in (TIME, FRACTION)}
    order = np.lexsort((ordinal, keys[FRACTION], keys[TIME], keys[USER]))
    counts: Counts = Counter()
    if drop_duplicates:
        is_again = pd.DataFrame({name: key[order] for name, key in keys.items()}).duplicated().to_numpy()
        order = order[~is_again]
        counts["interactions", "dropped", "duplicate"] += int(is_again.sum())
    if tie_seed is not None:
        times = [keys[name][order] for name in (FRACTION, TIME, USER)]
        order = order[np.lexsort((_chance(ordinal[order], tie_seed), *times))]
    sorted_ = table.drop_columns([FRACTION, FILE, ROW]).append_column(ORDINAL, pa.array(ordinal)).take(pa.array(order))
    return sorted_, +counts


def as_events(table: pa.Table) -> Events:
    """What splits and windows need to know of sorted events."""
    encoded = table[USER].combine_chunks().dictionary_encode()  # in order of occurrence, so by user
    counts = np.bincount(encoded.indices.to_numpy(), minlength=len(encoded.dictionary))
    first = np.concatenate([[0], np.cumsum(counts)])
    users = encoded.dictionary.to_numpy(zero_copy_only=False)
    return Events(users, first, table[TIME].to_numpy(), table[ORDINAL].to_numpy())


def _chance(ordinal: np.ndarray, seed: int) -> np.ndarray:
    """A number for each row that tells nothing of its place, unique: uint64 [n] (the finalizer of SplitMix64)."""
    bits = ordinal.astype(np.uint64) + np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % 2**64)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def _codes(column: pa.ChunkedArray) -> np.ndarray:
    return column.combine_chunks().dictionary_encode().indices.to_numpy()
