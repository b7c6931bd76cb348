"""Reads the rows of a table's files in batches of Arrow columns, whatever the format."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from config.data import Table
from pipeline.ingest.csv_text import (
    CountedLines,
    check_escapes,
    check_quotes,
    one_character,
    plain_csv,
    with_separators,
)
from pipeline.ingest.encodings import as_utf8
from pipeline.ingest.headers import check_columns, header, table_errors, with_folders
from pipeline.ingest.literals import as_array
from pipeline.ingest.missing import as_floats, float_ids, without_missing
from pipeline.ingest.records import decode_examples, json_values, tfrecords
from pipeline.ingest.tables import open_file, partitions, table_format

BATCH_ROWS: Final = 1 << 17
CSV_BLOCK_BYTES: Final = 1 << 23
MALFORMED_SAMPLES: Final = 5
"""The number of malformed lines of a file that are kept to be shown."""


class Malformed(NamedTuple):
    """A line of a file that is not a row.

    Attributes:
      line: Its number, counted from 1; None where it is not known.
      text: Its text.
      problem: Why it is not a row, such as "has 4 values, the header 3".
    """

    line: int | None
    text: str
    problem: str


@dataclass(frozen=True)
class Batch:
    """Consecutive rows of one file.

    Attributes:
      rows: The columns that were asked for, in the file's types; from CSV all text. Null where a value is one of the
        table's `missing` words.
      malformed: The number of malformed lines among or before the rows: a wrong number of values, broken JSON.
      lines: The line of each row in the file, counted from 1, int64 [n]; None where a format has no lines, or rows and
        lines differ in number because values span lines or lines are blank.
      samples: Those of the first `MALFORMED_SAMPLES` malformed lines of the file that are among the rows.
      written: The rows as the file has them, before `missing` words became null; None: as `rows`.
    """

    rows: pa.Table
    malformed: int
    lines: np.ndarray | None = None
    samples: tuple[Malformed, ...] = ()
    written: pa.Table | None = None


def read_batches(path: str, table: Table, columns: Sequence[str]) -> Iterator[Batch]:
    """Reads one file of a table.

    Args:
      path: One of `table_files`.
      table: Its format, separator, quotes and encoding.
      columns: The columns to read. Where a JSON or TFRecord row lacks one, its value is null.

    Yields:
      The rows in their order, in batches of at most `BATCH_ROWS`, of CSV of about `CSV_BLOCK_BYTES` bytes.

    Raises:
      TableError: If the file cannot be read to its end, a CSV or Parquet file lacks a column, or the rows of a CSV file
        are fewer than its lines because a quote was left open.
    """
    kind = table_format(table, path)
    folders, found = partitions(path), list(columns)
    if kind in ("csv", "parquet"):
        found = header(path, table)
        check_columns(path, table, columns, with_folders(path, found))
        folders = {name: value for name, value in folders.items() if name not in found}
    own = [column for column in columns if column not in folders] or found[:1]
    batches = _read(path, table, own)
    first = next(batches, None)
    if first is None:
        return
    floats = float_ids(table, first.rows, lambda columns: (b.rows for b in _read(path, table, columns)))
    for batch in itertools.chain([first], batches):
        written = batch.rows
        for name in folders.keys() & set(columns):
            value = pa.scalar(folders[name], pa.string())
            written = written.append_column(name, pa.repeat(value, len(written)))
        if written.column_names != list(columns):
            written = written.select(columns)
        yield replace(batch, rows=as_floats(without_missing(written, table.missing), floats), written=written)


def _read(path: str, table: Table, columns: list[str]) -> Iterator[Batch]:
    """Returns the rows as the file has them. Raises `TableError`."""
    kind = table_format(table, path)
    with open_file(path) as file, table_errors(path, table):
        if kind == "csv":
            yield from _read_csv(path, file, table, columns)
        elif kind == "parquet":
            for batch in pq.ParquetFile(file).iter_batches(BATCH_ROWS, columns=columns):
                yield Batch(pa.Table.from_batches([batch]).select(columns), 0)
        elif kind == "jsonl":
            yield from _read_json(file, table, columns)
        else:
            records = tfrecords(path, file)
            while chunk := list(itertools.islice(records, BATCH_ROWS)):
                rows = decode_examples(path, chunk)
                arrays = [rows[c] if c in rows.column_names else pa.nulls(len(chunk)) for c in columns]
                yield Batch(pa.table(arrays, names=columns), 0)


def _read_csv(path: str, file: BinaryIO, table: Table, columns: list[str]) -> Iterator[Batch]:
    """Returns the rows. Raises `TableError` where quotes or escapes of another dialect took rows for text."""
    has_escapes = table.escape is not None or table.quote is None or table.multiline
    escaped_quote = b"\n" if has_escapes else f"\\{table.quote}".encode()
    lines, rows, is_checked = CountedLines(plain_csv(as_utf8(file, table), table), escaped_quote), 0, has_escapes
    try:
        for batch in _csv_batches(lines, table, columns):
            if lines.has_pattern and not is_checked:
                check_escapes(path, table)
                is_checked = True
            rows += len(batch.rows) + batch.malformed
            yield batch
    except pa.ArrowInvalid:
        if lines.has_pattern and not has_escapes:
            check_escapes(path, table)
        check_quotes(path, table)  # such as an open quote at the end of a block
        raise
    if lines.count > rows + (table.columns is None):  # the header is a line, too
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
        read_options=csv.ReadOptions(column_names=table.columns, block_size=CSV_BLOCK_BYTES, use_threads=False),
        parse_options=csv.ParseOptions(
            delimiter=one_character(table),
            quote_char=table.quote or False,
            escape_char=table.escape or False,
            newlines_in_values=table.multiline,
            invalid_row_handler=skip,
        ),
        convert_options=csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.string()), include_columns=columns),
    )
    first_line = 2 if table.columns is None else 1
    rows = malformed = 0
    for batch in itertools.chain(reader, [None]):  # malformed lines at the end come after the last batch
        found = pa.table({column: pa.array([], pa.string()) for column in columns}) if batch is None else batch
        is_exact = not table.multiline and not file.has_blank
        lines = _line_numbers(first_line, rows, len(found), numbers) if is_exact else None
        samples = tuple(_malformed_csv(row, is_exact, table) for row in skipped)
        skipped.clear()
        if len(found) or len(numbers) > malformed:
            values = found if batch is None else with_separators(pa.Table.from_batches([batch]), table)
            yield Batch(values, len(numbers) - malformed, lines, samples)
        rows, malformed = rows + len(found), len(numbers)


def _line_numbers(first_line: int, first: int, size: int, skipped: list[int]) -> np.ndarray:
    """Returns the lines of rows among skipped lines: int64 [size].

    With `first_line` 2, the lines of the rows 0, 1, 2 among the skipped lines 3 and 4 are 2, 5, 6.

    Args:
      first_line: The line of the file's first row.
      first: The index in the file of the first of these rows.
      size: The number of rows.
      skipped: The lines of the file, so far, that are not rows.
    """
    positions = np.arange(first, first + size)
    rows_before = np.asarray(skipped, np.int64) - first_line - np.arange(len(skipped))
    return positions + first_line + np.searchsorted(rows_before, positions, side="right")


def _malformed_csv(row: csv.InvalidRow, is_exact: bool, table: Table) -> Malformed:
    names = "the header" if table.columns is None else "`columns`"
    text = row.text.replace(one_character(table), table.delimiter)
    problem = f"has {row.actual_columns} values, {names} {row.expected_columns}"
    return Malformed(row.number if is_exact else None, text, problem)


def _read_json(file: BinaryIO, table: Table, columns: list[str]) -> Iterator[Batch]:
    values, left = json_values(file, table), MALFORMED_SAMPLES
    while True:
        rows: list[dict[str, Any]] = []
        lines: list[int] = []
        bad: list[Malformed] = []
        for value, line, text in itertools.islice(values, BATCH_ROWS):
            if isinstance(value, dict):
                rows.append(value)
                lines.append(line)
            else:
                bad.append(Malformed(line, text.strip(), "is not a JSON object"))
        if not rows and not bad:
            return
        arrays = [as_array([row.get(column) for row in rows]) for column in columns]
        yield Batch(pa.table(arrays, names=columns), len(bad), np.array(lines, np.int64), tuple(bad[:left]))
        left -= len(bad[:left])
