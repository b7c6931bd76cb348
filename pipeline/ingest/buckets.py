"""Rows in buckets by the hash of a key: the unit in which they are shuffled and computed on.

A bucket is an Arrow table of many users' rows, travelling as the bytes of an Arrow stream: one Python object for
thousands of rows, and no more bytes than those rows have.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from pipeline.ingest.splits import hash_text
from pipeline.ingest.tables import file_size

BUCKET_BYTES: Final = 1 << 24
MIN_BUCKETS: Final = 8
MAX_BUCKETS: Final = 1 << 14
_COMPRESSION: Final = 4


def bucket_count(paths: Sequence[str]) -> int:
    """How many buckets the rows of the files make: about `BUCKET_BYTES` of text each."""
    sizes = (file_size(path) * (_COMPRESSION if path.endswith((".gz", ".parquet")) else 1) for path in paths)
    return int(np.clip(sum(sizes) // BUCKET_BYTES, MIN_BUCKETS, MAX_BUCKETS))


def partition(table: pa.Table, key: str, buckets: int) -> Iterator[tuple[int, bytes]]:
    """The rows by bucket, in their order, each bucket's as bytes. Equal keys share a bucket."""
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
    """The hashes of a column's texts, each distinct one hashed once: uint64 [n]."""
    encoded = column.combine_chunks().dictionary_encode()
    return hash_text(encoded.dictionary.to_numpy(zero_copy_only=False))[encoded.indices.to_numpy()]


def to_bytes(table: pa.Table) -> bytes:
    """The table as an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def from_bytes(parts: Iterable[bytes]) -> pa.Table:
    """The tables, at least one, one after the other."""
    return pa.concat_tables([pa.ipc.open_stream(part).read_all() for part in parts]).combine_chunks()
