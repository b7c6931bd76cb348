"""Reads the rows of a table's files, or bundles of them, in batches of Arrow columns, whatever the format."""

import io
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, BinaryIO, Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from config.data import Table
from pipeline.ingest.batches import MALFORMED_SAMPLES, Batch, Malformed
from pipeline.ingest.bundles import Bundle, open_bundle
from pipeline.ingest.csv_reading import CsvRows
from pipeline.ingest.headers import check_columns, header, table_errors, with_folders
from pipeline.ingest.literals import as_array
from pipeline.ingest.missing import as_floats, float_ids, without_missing
from pipeline.ingest.personal import check_no_folders, key_of, with_hashes, without_text
from pipeline.ingest.records import decode_examples, json_values, tfrecords
from pipeline.ingest.tables import partitions, table_format

BATCH_ROWS: Final = 1 << 17


def read_batches(path: str, table: Table, columns: Sequence[str]) -> Iterator[Batch]:
    """Returns the rows of a whole file, see `BundleReader`."""
    return iter(BundleReader(Bundle(path), table, columns))


class BundleReader:
    """Reads one file of a table, or some of its lines.

    Args:
      bundle: The file, or one of the bundles that `pipeline.ingest.dividing` divides it into.
      table: Its format, separator, quotes and encoding.
      columns: The columns to read. Where a JSON or TFRecord row lacks one, its value is null.

    The values of the table's personal columns are hashed; see `pipeline.ingest.personal`.

    Attributes:
      lines: The number of lines that were read, after the last batch; None where it is not known.
    """

    def __init__(self, bundle: Bundle, table: Table, columns: Sequence[str]) -> None:
        self._bundle, self._table, self._columns = bundle, table, list(columns)
        self._kind = table_format(table, bundle.path)
        self.lines: int | None = None

    def __iter__(self) -> Iterator[Batch]:
        """Yields the rows in their order, in batches of at most `BATCH_ROWS`, of CSV of about 8 MB.

        Raises:
          TableError: If the file cannot be read to its end, a CSV or Parquet file lacks a column, or the rows of a CSV
            file are fewer than its lines because a quote was left open; if there is no key for personal columns.
        """
        path, table, columns = self._bundle.path, self._table, self._columns
        key = key_of(table)
        check_no_folders(path, table)
        folders, found = partitions(path), columns
        if self._kind in ("csv", "parquet"):
            found = header(path, table)
            check_columns(path, table, columns, with_folders(path, found))
            folders = {name: value for name, value in folders.items() if name not in found}
        own = [column for column in columns if column not in folders] or found[:1]
        batches = self._read(own, found)
        first = next(batches, None)
        if first is None:
            return
        floats: list[str] = []
        if self._bundle.is_whole:
            floats = float_ids(table, first.rows, lambda ids: (batch.rows for batch in self._read(ids, found)))
        for batch in itertools.chain([first], batches):
            written = batch.rows
            for name in folders.keys() & set(columns):
                value = pa.scalar(folders[name], pa.string())
                written = written.append_column(name, pa.repeat(value, len(written)))
            if written.column_names != columns:
                written = written.select(columns)
            rows = as_floats(without_missing(written, table.missing), floats)
            if table.personal:
                with table_errors(path, table):
                    rows = with_hashes(rows, table, key)
                written = _with_columns(written, rows, table.personal)
            yield replace(batch, rows=rows, written=written, samples=without_text(batch.samples, table))

    def _read(self, columns: list[str], found: list[str]) -> Iterator[Batch]:
        """Yields the rows as the file has them. Raises `TableError`.

        Args:
          columns: The columns to read.
          found: All columns of a CSV file.
        """
        bundle, table = self._bundle, self._table
        with open_bundle(bundle, table) as file, table_errors(bundle.path, table):
            if self._kind == "csv":
                if bundle.start and not cast(io.BufferedReader, file).peek(1):  # Arrow refuses a file without a line
                    self.lines = 0
                    return
                names = table.columns if bundle.start == 0 else found
                rows = CsvRows(bundle, file, table, columns, names)
                yield from rows
                self.lines = rows.lines
            elif self._kind == "parquet":
                for batch in pq.ParquetFile(file).iter_batches(BATCH_ROWS, columns=columns):
                    yield Batch(pa.Table.from_batches([batch]).select(columns), 0)
            elif self._kind == "jsonl":
                yield from _read_json(file, table, columns)
            else:
                yield from _read_examples(bundle.path, file, columns)


def _with_columns(written: pa.Table, rows: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Returns what is written in a file, with some columns as they were read."""
    for name in columns:
        if name in rows.column_names:
            written = written.set_column(written.column_names.index(name), name, rows[name])
    return written


def _read_examples(path: str, file: BinaryIO, columns: list[str]) -> Iterator[Batch]:
    records = tfrecords(path, file)
    while chunk := list(itertools.islice(records, BATCH_ROWS)):
        rows = decode_examples(path, chunk)
        arrays = [rows[c] if c in rows.column_names else pa.nulls(len(chunk)) for c in columns]
        yield Batch(pa.table(arrays, names=columns), 0)


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
