"""The rows of a table's files in batches of Arrow columns, whatever the format."""

import gzip
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from pipeline.config.data import Table
from pipeline.ingest.csv_lines import CountedLines, check_quotes
from pipeline.ingest.tables import (
    TableError,
    broken_gzip,
    file_columns,
    open_file,
    parse_json,
    table_format,
    undecodable,
)

BATCH_ROWS: Final = 1 << 17
CSV_BLOCK_BYTES: Final = 1 << 23


@dataclass(frozen=True)
class Batch:
    """Consecutive rows of one file.

    Attributes:
      rows: The wanted columns, in types of the file's choice; from CSV all text.
      malformed: Rows that stood among or before them and are no rows: a wrong number of fields, broken JSON.
    """

    rows: pa.Table
    malformed: int


def read_batches(path: str, table: Table, columns: Sequence[str]) -> Iterator[Batch]:
    """Reads one file of a table.

    Args:
      path: One of `table_files`.
      table: Its format, separator, quotes and encoding.
      columns: The columns to read. JSON lines and TFRecord rows may lack any of them: null.

    Yields:
      The rows in their order, in batches.

    Raises:
      TableError: If the file cannot be read to its end, a CSV or Parquet file lacks a column, or the rows of a CSV file
        are fewer than its lines because a quote was left open.
    """
    kind = table_format(table)
    check_columns(path, columns, file_columns(path, table) if kind in ("csv", "parquet") else columns)
    with open_file(path) as file:
        try:
            yield from _READERS[kind](path, file, table, list(columns))
        except (gzip.BadGzipFile, EOFError) as error:
            raise broken_gzip(path, error) from error
        except (UnicodeError, LookupError) as error:
            raise undecodable(path, table, str(error)) from error
        except (pa.ArrowException, OSError) as error:
            if "UTF8" in str(error):
                raise undecodable(path, table, str(error)) from error
            raise TableError(f"{path}: cannot be read as {kind} ({error})") from error


def check_columns(path: str, wanted: Sequence[str], found: Sequence[str]) -> None:
    """Raises `TableError` for the columns that a file lacks."""
    absent = [column for column in wanted if column not in found]
    if absent:
        raise TableError(f"{path}: has no column {', '.join(map(repr, absent))}. Columns: {', '.join(found)}")


def _read_csv(path: str, file: BinaryIO, table: Table, columns: list[str]) -> Iterator[Batch]:
    lines, rows = CountedLines(file), 0
    try:
        for batch in _csv_batches(lines, table, columns):
            rows += len(batch.rows) + batch.malformed
            yield batch
    except pa.ArrowInvalid:
        check_quotes(path, table)  # such as an open quote at the end of a block
        raise
    is_counted = "\n".encode(table.encoding) == b"\n"  # not in UTF-16
    if lines.count > 1 + rows or not is_counted:  # the header is a line, too
        check_quotes(path, table)


def _csv_batches(file: CountedLines, table: Table, columns: list[str]) -> Iterator[Batch]:
    malformed: list[int] = []

    def skip(row: csv.InvalidRow) -> str:
        malformed.append(row.actual_columns)
        return "skip"

    reader = csv.open_csv(
        file,
        read_options=csv.ReadOptions(encoding=table.encoding, block_size=CSV_BLOCK_BYTES, use_threads=False),
        parse_options=csv.ParseOptions(
            delimiter=table.separator,
            quote_char=table.quote or False,
            newlines_in_values=table.multiline,
            invalid_row_handler=skip,
        ),
        convert_options=csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.string()), include_columns=columns),
    )
    for batch in reader:
        yield Batch(pa.Table.from_batches([batch]), len(malformed))
        malformed.clear()
    if malformed:
        yield Batch(pa.table({column: pa.array([], pa.string()) for column in columns}), len(malformed))


def _read_parquet(path: str, file: BinaryIO, table: Table, columns: list[str]) -> Iterator[Batch]:
    for batch in pq.ParquetFile(file).iter_batches(BATCH_ROWS, columns=columns):
        yield Batch(pa.Table.from_batches([batch]).select(columns), 0)


def _read_json(path: str, file: BinaryIO, table: Table, columns: list[str]) -> Iterator[Batch]:
    lines = (line for line in file if not line.isspace())
    while chunk := list(itertools.islice(lines, BATCH_ROWS)):
        values = [parse_json(line.decode(table.encoding)) for line in chunk]
        rows = [value for value in values if isinstance(value, dict)]
        arrays = [_as_array([row.get(column) for row in rows]) for column in columns]
        yield Batch(pa.table(arrays, names=columns), len(values) - len(rows))


def _as_array(values: list[Any]) -> pa.Array:
    """An Arrow array even where the rows differ in type or a number has more than 64 bits: then all is text."""
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([value if value is None else str(value) for value in values], pa.string())


def _read_tfrecord(path: str, file: BinaryIO, table: Table, columns: list[str]) -> Iterator[Batch]:
    from pipeline.ingest import tfrecords  # needs TensorFlow, which the other formats do without

    records = tfrecords.records(path, file)
    while chunk := list(itertools.islice(records, BATCH_ROWS)):
        rows = tfrecords.decode(path, chunk)
        arrays = [rows[c] if c in rows.column_names else pa.nulls(len(chunk)) for c in columns]
        yield Batch(pa.table(arrays, names=columns), 0)


_READERS: Final[dict[str, Callable[[str, BinaryIO, Table, list[str]], Iterator[Batch]]]] = {
    "csv": _read_csv,
    "parquet": _read_parquet,
    "jsonl": _read_json,
    "tfrecord": _read_tfrecord,
}
