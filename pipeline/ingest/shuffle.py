"""Shuffles rows into buckets by the hash of a key, and sorts the events of a bucket.

A bucket is an Arrow table of many users' rows that travels as the bytes of an Arrow stream: one Python object for
thousands of rows, and no more bytes than those rows have.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.ingest.cleaning import FILE, ROW
from pipeline.ingest.events import FRACTION, ITEM, TIME, USER
from pipeline.ingest.findings import Counts
from pipeline.ingest.splits import Events, hash_text, mix_bits
from pipeline.ingest.tables import file_size

BUCKET_BYTES: Final = 1 << 24
MIN_BUCKETS: Final = 8
MAX_BUCKETS: Final = 1 << 14
_COMPRESSION: Final = 4
"""Bytes of text for each byte of a compressed file, about."""
ORDINAL: Final = "ordinal"


def bucket_count(paths: Sequence[str]) -> int:
    """Returns the number of buckets for the rows of the files: about `BUCKET_BYTES` of text each."""
    sizes = (file_size(path) * (_COMPRESSION if path.endswith((".gz", ".parquet")) else 1) for path in paths)
    return int(np.clip(sum(sizes) // BUCKET_BYTES, MIN_BUCKETS, MAX_BUCKETS))


def partition(table: pa.Table, key: str, buckets: int) -> Iterator[tuple[int, bytes]]:
    """Returns the number and the bytes of each bucket that has rows, in their order. Equal keys share a bucket."""
    if not len(table):
        return
    bucket = (hash_column(table[key]) % np.uint64(buckets)).astype(np.int64)
    order = np.argsort(bucket, kind="stable")
    ends = np.cumsum(np.bincount(bucket, minlength=buckets))
    rows = table.take(pa.array(order))
    for number in np.unique(bucket).tolist():
        start = int(ends[number - 1]) if number else 0
        yield number, to_bytes(rows.slice(start, int(ends[number]) - start))


def hash_column(column: pa.ChunkedArray) -> np.ndarray:
    """Returns the hashes of a column's texts, each distinct one hashed once: uint64 [n]."""
    encoded = column.combine_chunks().dictionary_encode()
    return hash_text(encoded.dictionary.to_numpy(zero_copy_only=False))[encoded.indices.to_numpy()]


def to_bytes(table: pa.Table) -> bytes:
    """Returns the table as an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def from_bytes(parts: Iterable[bytes]) -> pa.Table:
    """Returns the tables, at least one, one after the other."""
    return pa.concat_tables([pa.ipc.open_stream(part).read_all() for part in parts]).combine_chunks()


def sort_events(
    table: pa.Table,
    offsets: np.ndarray,
    drop_duplicates: bool,
    tie_seed: int | None = None,
    duplicate_columns: Sequence[str] = (),
) -> tuple[pa.Table, Counts]:
    """Sorts events by (user, time, original row), the time to its fraction of a second.

    Args:
      table: As `clean_events` returns it, whole users, in any order.
      offsets: The number of rows in all bundles before each bundle, int64 [bundles].
      drop_duplicates: Whether to keep only the first row of the events with the same user, item, time and values of
        `duplicate_columns`.
      tie_seed: Orders events of the same time at random in place of the original row; a row has the same random number
        in every run.
      duplicate_columns: The columns in which duplicates agree beside user, item and time.

    Returns:
      The table with `ordinal`, the row's index among all files' rows (int64), in place of `fraction`, `file` and `row`;
      and the number of duplicates.
    """
    ordinal = offsets[table[FILE].to_numpy()] + table[ROW].to_numpy()
    keys = {name: _codes(table[name]) for name in (USER, ITEM)}
    keys |= {name: table[name].to_numpy() for name in (TIME, FRACTION)}
    order = np.lexsort((ordinal, keys[FRACTION], keys[TIME], keys[USER]))
    counts: Counts = Counter()
    if drop_duplicates:
        frame = pd.DataFrame({name: key[order] for name, key in keys.items()})
        is_duplicate = _is_duplicate(frame, table.select(list(duplicate_columns)), order)
        order = order[~is_duplicate]
        counts["interactions", "dropped", "duplicate"] += int(is_duplicate.sum())
    if tie_seed is not None:
        times = [keys[name][order] for name in (FRACTION, TIME, USER)]
        order = order[np.lexsort((mix_bits(ordinal[order].astype(np.uint64), tie_seed), *times))]
    sorted_ = table.drop_columns([FRACTION, FILE, ROW]).append_column(ORDINAL, pa.array(ordinal)).take(pa.array(order))
    return sorted_, +counts


def _is_duplicate(keys: pd.DataFrame, values: pa.Table, order: np.ndarray) -> np.ndarray:
    """Returns which rows have an equal one before them, bool [n].

    Only the values of rows with equal keys are compared.

    Args:
      keys: The sorted rows' user, item and time.
      values: The other columns, of the rows before they were sorted.
      order: The index in `values` of each sorted row, int64 [n].
    """
    is_duplicate = keys.duplicated().to_numpy()
    if values.num_columns and is_duplicate.any():
        alike = np.flatnonzero(keys.duplicated(keep=False).to_numpy())
        rows = values.take(pa.array(order[alike]))
        texts = {
            c: pc.binary_join(rows[c], "\0") if pa.types.is_list(rows[c].type) else rows[c] for c in rows.schema.names
        }
        frame = keys.iloc[alike].assign(**{name: _codes(column) for name, column in texts.items()})
        is_duplicate = np.zeros(len(order), bool)
        is_duplicate[alike] = frame.duplicated().to_numpy()
    return is_duplicate


def as_events(table: pa.Table) -> Events:
    """Returns what splits and windows need of sorted events."""
    encoded = table[USER].combine_chunks().dictionary_encode()  # in order of occurrence, so by user
    counts = np.bincount(encoded.indices.to_numpy(), minlength=len(encoded.dictionary))
    first = np.concatenate([[0], np.cumsum(counts)])
    users = encoded.dictionary.to_numpy(zero_copy_only=False)
    return Events(users, first, table[TIME].to_numpy(), table[ORDINAL].to_numpy())


def _codes(column: pa.ChunkedArray) -> np.ndarray:
    """Returns an integer for each distinct value, -1 for missing ones: int64 [n]."""
    return pc.fill_null(column.combine_chunks().dictionary_encode().indices, -1).to_numpy()
