"""Reads the rows of CSV files, or of bundles of their lines, in batches of Arrow columns."""

import itertools
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final

import numpy as np
import pyarrow as pa
from pyarrow import csv

from config.data import Table
from pipeline.ingest.batches import MALFORMED_SAMPLES, Batch, Malformed
from pipeline.ingest.bundles import Bundle
from pipeline.ingest.csv_text import (
    CountedLines,
    check_escapes,
    check_quotes,
    leaves_open,
    one_character,
    plain_csv,
    with_separators,
)
from pipeline.ingest.encodings import as_utf8

CSV_BLOCK_BYTES: Final = 1 << 23


class CsvRows:
    """The rows of a CSV file, or of some of its lines, in batches of about `CSV_BLOCK_BYTES` bytes.

    Args:
      bundle: Where they are.
      file: The bundle's bytes.
      table: The dialect.
      columns: The columns to read.
      names: The names of all columns, where the bundle does not begin with them.

    Attributes:
      lines: The number of the lines, after the last batch; None where rows and lines differ in number, because values
        span lines or lines are blank.
    """

    def __init__(
        self, bundle: Bundle, file: BinaryIO, table: Table, columns: Sequence[str], names: Sequence[str] | None
    ) -> None:
        self._is_continued = bundle.end is not None
        self._path, self._table, self._columns, self._names = bundle.path, table, list(columns), names
        self._has_escapes = table.escape is not None or table.quote is None or table.multiline
        escaped_quote = b"\n" if self._has_escapes else f"\\{table.quote}".encode()
        text = as_utf8(file, table, begins=bundle.start == 0)
        self._file = CountedLines(plain_csv(text, table), escaped_quote)
        self.lines: int | None = None

    def __iter__(self) -> Iterator[Batch]:
        """Yields the rows. Raises `TableError` where quotes or escapes of another dialect took rows for text."""
        file, table, rows, is_checked = self._file, self._table, 0, self._has_escapes
        try:
            for batch in self._batches():
                if file.has_pattern and not is_checked:
                    check_escapes(self._path, table)
                    is_checked = True
                rows += len(batch.rows) + batch.malformed
                yield batch
        except pa.ArrowInvalid:
            if file.has_pattern and not self._has_escapes:
                check_escapes(self._path, table)
            check_quotes(self._path, table)  # such as an open quote at the end of a block
            raise
        lines = rows + (self._names is None)  # the header is a line, too
        # To Arrow the end of a bundle closes a quote as that of a file does.
        if file.count > lines or (self._is_continued and leaves_open(file.last, table)):
            check_quotes(self._path, table)
        self.lines = lines if self._has_line_of_each_row else None

    @property
    def _has_line_of_each_row(self) -> bool:
        return not self._table.multiline and not self._file.has_blank

    def _batches(self) -> Iterator[Batch]:
        table, columns = self._table, self._columns
        skipped: list[csv.InvalidRow] = []
        numbers: list[int] = []

        def skip(row: csv.InvalidRow) -> str:
            numbers.append(row.number)
            if len(numbers) <= MALFORMED_SAMPLES:
                skipped.append(row)
            return "skip"

        reader = csv.open_csv(
            self._file,
            read_options=csv.ReadOptions(column_names=self._names, block_size=CSV_BLOCK_BYTES, use_threads=False),
            parse_options=csv.ParseOptions(
                delimiter=one_character(table),
                quote_char=table.quote or False,
                escape_char=table.escape or False,
                newlines_in_values=table.multiline,
                invalid_row_handler=skip,
            ),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.string()), include_columns=columns
            ),
        )
        first_line = 2 if self._names is None else 1
        rows = malformed = 0
        for batch in itertools.chain(reader, [None]):  # malformed lines at the end come after the last batch
            found = pa.table({column: pa.array([], pa.string()) for column in columns}) if batch is None else batch
            is_exact = self._has_line_of_each_row
            lines = _line_numbers(first_line, rows, len(found), numbers) if is_exact else None
            samples = tuple(_malformed(row, is_exact, table) for row in skipped)
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


def _malformed(row: csv.InvalidRow, is_exact: bool, table: Table) -> Malformed:
    names = "the header" if table.columns is None else "`columns`"
    text = row.text.replace(one_character(table), table.delimiter)
    problem = f"has {row.actual_columns} values, {names} {row.expected_columns}"
    return Malformed(row.number if is_exact else None, text, problem)
