"""The events of a bucket of users in their final order, duplicates gone."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.ingest.events import FILE, FRACTION, ITEM, ROW, TIME, USER
from pipeline.ingest.findings import Counts
from pipeline.ingest.splits import Events

ORDINAL = "ordinal"


def sort_events(
    table: pa.Table,
    offsets: np.ndarray,
    drop_duplicates: bool,
    tie_seed: int | None = None,
    telling: Sequence[str] = (),
) -> tuple[pa.Table, Counts]:
    """Sorts by (user, time, original row), or with a `tie_seed` by (user, time, chance); the time to its fraction.

    Args:
      table: Of `clean_events`, whole users, in any order.
      offsets: The number of rows in all files before each file, int64 [files].
      drop_duplicates: Keep only the first row of the events with the same user, item, time and `telling` values.
      tie_seed: Of the chance; the same row always has the same.
      telling: The columns that tell events of the same user, item and time from each other.

    Returns:
      The table with `ordinal`, the row's position among all files' rows (int64), instead of `fraction`, `file` and `row`;
      and the number of duplicates.
    """
    ordinal = offsets[table[FILE].to_numpy()] + table[ROW].to_numpy()
    keys = {name: _codes(table[name]) for name in (USER, ITEM)}
    keys |= {name: table[name].to_numpy() for name in (TIME, FRACTION)}
    order = np.lexsort((ordinal, keys[FRACTION], keys[TIME], keys[USER]))
    counts: Counts = Counter()
    if drop_duplicates:
        is_again = _duplicated({name: key[order] for name, key in keys.items()}, table, order, telling)
        order = order[~is_again]
        counts["interactions", "dropped", "duplicate"] += int(is_again.sum())
    if tie_seed is not None:
        times = [keys[name][order] for name in (FRACTION, TIME, USER)]
        order = order[np.lexsort((_chance(ordinal[order], tie_seed), *times))]
    sorted_ = table.drop_columns([FRACTION, FILE, ROW]).append_column(ORDINAL, pa.array(ordinal)).take(pa.array(order))
    return sorted_, +counts


def _duplicated(
    keys: Mapping[str, np.ndarray], table: pa.Table, order: np.ndarray, telling: Sequence[str]
) -> np.ndarray:
    """Which rows have an equal one before them, bool [n]. Only rows with equal keys are looked at in all columns."""
    frame = pd.DataFrame(keys)
    is_again = frame.duplicated().to_numpy()
    if telling and is_again.any():
        alike = np.flatnonzero(frame.duplicated(keep=False).to_numpy())
        rows = table.select(list(telling)).take(pa.array(order[alike]))
        frame = frame.iloc[alike].assign(**{name: _codes(_as_scalars(rows[name])) for name in telling})
        is_again = np.zeros(len(order), bool)
        is_again[alike] = frame.duplicated().to_numpy()
    return is_again


def as_events(table: pa.Table) -> Events:
    """What splits and windows need to know of sorted events."""
    encoded = table[USER].combine_chunks().dictionary_encode()  # in order of occurrence, so by user
    counts = np.bincount(encoded.indices.to_numpy(), minlength=len(encoded.dictionary))
    first = np.concatenate([[0], np.cumsum(counts)])
    users = encoded.dictionary.to_numpy(zero_copy_only=False)
    return Events(users, first, table[TIME].to_numpy(), table[ORDINAL].to_numpy())


def _chance(ordinal: np.ndarray, seed: int) -> np.ndarray:
    """A number for each row that tells nothing of its position, unique: uint64 [n] (the finalizer of SplitMix64)."""
    bits = ordinal.astype(np.uint64) + np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % 2**64)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def _codes(column: pa.ChunkedArray) -> np.ndarray:
    """An integer for each distinct value, -1 for missing ones."""
    return pc.fill_null(column.combine_chunks().dictionary_encode().indices, -1).to_numpy()


def _as_scalars(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Lists of text as one text each."""
    return pc.binary_join(column, "\0") if pa.types.is_list(column.type) else column
