"""The rows of a table's files in batches of Arrow columns, whatever the format."""

import gzip
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np
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


MALFORMED_SAMPLES: Final = 5
"""So many lines of a file that are no rows are kept to be shown."""


class Malformed(NamedTuple):
    """A line of a file that is no row.

    Attributes:
      line: Its number, counted from 1; None where it is not known.
      text: What it holds.
      problem: Why it is no row, such as "has 4 values, the header 3".
    """

    line: int | None
    text: str
    problem: str


@dataclass(frozen=True)
class Batch:
    """Consecutive rows of one file.

    Attributes:
      rows: The wanted columns, in types of the file's choice; from CSV all text.
      malformed: Rows that stood among or before them and are no rows: a wrong number of fields, broken JSON.
      lines: The line of each row in the file, counted from 1, int64 [n]; None where a format has no lines, or values
        or blanks make more lines than rows.
      samples: Some of the malformed, the first `MALFORMED_SAMPLES` of the file.
    """

    rows: pa.Table
    malformed: int
    lines: np.ndarray | None = None
    samples: tuple[Malformed, ...] = ()


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
    if lines.count > 1 + rows or not has_plain_line_ends(table):  # the header is a line, too
        check_quotes(path, table)


def _csv_batches(file: CountedLines, table: Table, columns: list[str]) -> Iterator[Batch]:
    skipped: list[csv.InvalidRow] = []
    numbers: list[int] = []

    def skip(row: csv.InvalidRow) -> str:
        numbers.append(row.number)
        if len(numbers) <= MALFORMED_SAMPLES:
            skipped.append(row)
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
    has_lines = not table.multiline and has_plain_line_ends(table)
    rows = malformed = 0
    for batch in itertools.chain(reader, [None]):  # what is malformed at the end comes after the last batch
        found = pa.table({column: pa.array([], pa.string()) for column in columns}) if batch is None else batch
        is_exact = has_lines and not file.has_blank
        lines = _line_numbers(rows, len(found), numbers) if is_exact else None
        samples = tuple(_malformed_csv(row, is_exact) for row in skipped)
        skipped.clear()
        if len(found) or len(numbers) > malformed:
            yield Batch(
                found if batch is None else pa.Table.from_batches([batch]), len(numbers) - malformed, lines, samples
            )
        rows, malformed = rows + len(found), len(numbers)


def _line_numbers(first: int, size: int, skipped: list[int]) -> np.ndarray:
    """The lines of rows, of which `first` stood before them, among skipped lines; the header is line 1."""
    places = np.arange(first, first + size)
    rows_before = np.asarray(skipped, np.int64) - 2 - np.arange(len(skipped))
    return places + 2 + np.searchsorted(rows_before, places, side="right")


def _malformed_csv(row: csv.InvalidRow, is_exact: bool) -> Malformed:
    problem = f"has {row.actual_columns} values, the header {row.expected_columns}"
    return Malformed(row.number if is_exact else None, row.text, problem)


def has_plain_line_ends(table: Table) -> bool:
    """Whether a line end is one byte in the table's encoding: not in UTF-16."""
    return "\n".encode(table.encoding) == b"\n"


def _read_parquet(path: str, file: BinaryIO, table: Table, columns: list[str]) -> Iterator[Batch]:
    for batch in pq.ParquetFile(file).iter_batches(BATCH_ROWS, columns=columns):
        yield Batch(pa.Table.from_batches([batch]).select(columns), 0)


def _read_json(path: str, file: BinaryIO, table: Table, columns: list[str]) -> Iterator[Batch]:
    lines = ((number, line) for number, line in enumerate(file, start=1) if not line.isspace())
    left = MALFORMED_SAMPLES
    while chunk := list(itertools.islice(lines, BATCH_ROWS)):
        texts = [line.decode(table.encoding) for _, line in chunk]
        values = [parse_json(text) for text in texts]
        is_row = np.fromiter((isinstance(value, dict) for value in values), bool, len(values))
        rows = [value for value in values if isinstance(value, dict)]
        arrays = [_as_array([row.get(column) for row in rows]) for column in columns]
        numbers = np.fromiter((number for number, _ in chunk), np.int64, len(chunk))
        bad = np.flatnonzero(~is_row)[:left].tolist()
        left -= len(bad)
        samples = tuple(Malformed(int(numbers[n]), texts[n].strip(), "is no JSON object") for n in bad)
        yield Batch(pa.table(arrays, names=columns), len(values) - len(rows), numbers[is_row], samples)


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
