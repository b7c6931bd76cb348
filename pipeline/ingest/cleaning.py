"""Cleans rows: bad ones counted by reason, ids and features read; and the whole of a row of items or users."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.ingest.batches import Batch
from pipeline.ingest.columns import TYPES, Column
from pipeline.ingest.findings import SAMPLES, Counts, Findings, Sample, shortened
from pipeline.ingest.literals import ListError
from pipeline.ingest.tables import TableError
from pipeline.ingest.times import as_time, expected_time
from pipeline.ingest.values import (
    Parsed,
    as_float32,
    as_id,
    as_joined_text,
    as_list,
    as_text,
    holds_line_end,
    holds_several,
    is_valid,
    null_where,
)

ID: Final = "id"
FILE: Final = "file"
ROW: Final = "row"
MALFORMED: Final = "malformed row"

Clean = Callable[[Batch, int, int], tuple[pa.Table, Findings]]
"""From a batch, the index of its bundle and the index of its first row in it, to clean rows and findings."""


def clean_batch(clean: Clean, path: str, batch: Batch, file: int, first_row: int) -> tuple[pa.Table, Findings]:
    """Returns the clean rows of a batch. Raises `TableError` where a column's type cannot be read as configured."""
    try:
        return clean(batch, file, first_row)
    except ListError as error:
        raise TableError(f"{path}: {error}") from error
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        types = ", ".join(f"{field.name} ({field.type})" for field in batch.rows.schema)
        raise TableError(
            f"{path}: a column cannot be read as the configuration says ({error}). "
            f"Change its type or its use. Columns: {types}"
        ) from error


class BatchRows:
    """The rows of a batch that are still kept, and why the others are not.

    Args:
      table: "interactions", "items" or "users".
      batch: The rows.
      file: The index of their bundle.
      first_row: The index in the bundle of the first of them.

    Attributes:
      is_kept: bool [n].
      findings: The counts and samples of this batch.
    """

    def __init__(self, table: str, batch: Batch, file: int, first_row: int) -> None:
        size = len(batch.rows)
        self.is_kept = np.ones(size, bool)
        self.findings = Findings(Counter({(table, "rows"): size + batch.malformed}))
        self._table, self._batch, self._file, self._first_row = table, batch, file, first_row
        if batch.malformed:
            self.findings.counts[table, "dropped", MALFORMED] += batch.malformed
            self.findings.counts[table, "bad_rows"] += batch.malformed
        if batch.samples:
            self.findings.samples[table, MALFORMED] = [
                Sample(file, first_row, bad.line, "", shortened(bad.text), bad.problem) for bad in batch.samples
            ]

    def drop(self, reason: str, rows: np.ndarray, column: str = "", expected: str = "", is_bad: bool = True) -> None:
        """Drops rows; a row counts under its first reason only.

        Args:
          reason: For the report.
          rows: Which rows to drop, bool [n].
          column: The column that is wrong.
          expected: What was expected in it.
          is_bad: Whether the rows count as bad, and the first are kept as samples.
        """
        dropped = rows & self.is_kept
        if number := int(dropped.sum()):
            self.findings.counts[self._table, "dropped", reason] += number
            if is_bad:
                self.findings.counts[self._table, "bad_rows"] += number
                self._add_samples(reason, dropped, column, expected)
            self.is_kept &= ~rows

    def read_ids(self, column: str) -> pa.Array:
        """Returns the ids of a column as text [n]; drops the rows without a usable one."""
        ids, several = as_id(self._batch.rows[column]), holds_several(self._batch.rows[column])
        self.drop(f"several values in {column}", several, column, "one id, not a list of several values")
        rounded = "an id as text or an integer: a float of this size is rounded"
        self.drop(f"rounded {column}", ids.is_unparsable, column, rounded)
        self.drop(
            f"missing {column}", ~is_valid(ids.values), column, "an id that is not one of the table's `missing` words"
        )
        self.drop(f"line end in {column}", holds_line_end(ids.values), column, "an id in one line")
        return ids.values

    def read_features(self, columns: Iterable[Column], table: pa.Table) -> dict[str, pa.Array]:
        """Returns feature columns by name; a kept row with a value that cannot be read is bad, and stays.

        Args:
          columns: The features.
          table: The rows, after outliers were clipped.
        """
        is_bad, values = np.zeros(len(table), bool), {}
        for column in columns:
            parsed = read_column(column, table)
            values[column.name] = parsed.values
            unparsable = parsed.is_unparsable & self.is_kept
            if number := int(unparsable.sum()):
                is_bad |= unparsable
                self.findings.counts[self._table, "unparsable", column.source] += number
                expected = "a number that float32 holds" if column.kind == "number" else "text in one line"
                if column.kind == "time":
                    expected = expected_time(column.times)
                self._add_samples(f"unparsable {column.source}", unparsable, column.source, expected)
        if number := int(is_bad.sum()):
            self.findings.counts[self._table, "bad_rows"] += number
        return values

    def origin(self) -> dict[str, pa.Array]:
        """Returns the columns `file` and `row`: the index of each row's bundle, and its index in it, int64 [n]."""
        size = len(self.is_kept)
        return {
            FILE: pa.array(np.full(size, self._file, np.int64)),
            ROW: pa.array(np.arange(self._first_row, self._first_row + size)),
        }

    def add_span(self, column: str, seconds: pa.Array) -> None:
        """Adds the first and the last time of a column: int64 seconds, null where missing."""
        ends = pc.min_max(seconds).as_py()
        if ends["min"] is not None:
            self.findings.widen((self._table, column), ends["min"], ends["max"])

    def kept(self, columns: dict[str, pa.Array]) -> pa.Table:
        """Returns the kept rows of the columns."""
        return pa.table(columns).filter(pa.array(self.is_kept))

    def _add_samples(self, reason: str, rows: np.ndarray, column: str, expected: str) -> None:
        batch = self._batch
        written = batch.rows if batch.written is None else batch.written
        self.findings.samples[self._table, reason] = [
            Sample(
                self._file,
                self._first_row + index,
                None if batch.lines is None else int(batch.lines[index]),
                column,
                shortened(written[column][index].as_py()) if column else "",
                expected,
            )
            for index in np.flatnonzero(rows)[:SAMPLES].tolist()
        ]


def read_column(column: Column, table: pa.Table) -> Parsed:
    """Returns one feature column: text, float32, int64 seconds or lists of text, null where missing."""
    raw = table[column.source]
    if column.kind == "number":
        return as_float32(raw, column.decimal)
    if column.kind == "time":
        return as_time(raw, column.times)
    if column.kind == "list":
        values = as_list(raw, column.separator, column.missing)
    else:
        values = as_joined_text(raw, column.separator) if column.separator else as_text(raw)
    is_unparsable = holds_line_end(values) if column.is_token else np.zeros(len(table), bool)
    return Parsed(null_where(values, is_unparsable).cast(TYPES[column.kind]), is_unparsable)


def clean_entities(
    columns: tuple[Column, ...], key: str, name: str, batch: Batch, file: int, first_row: int
) -> tuple[pa.Table, Findings]:
    """Cleans rows of a table of items or users. A row without id is dropped; a value that cannot be read is missing.

    Args:
      columns: The features.
      key: The id's column.
      name: "items" or "users".
      batch: The rows.
      file: The index of their bundle.
      first_row: The index in the bundle of the first of them.

    Returns:
      Columns `id` (text), `file`, `row` (int64) and the features by name, null where missing; and the findings.
    """
    rows = BatchRows(name, batch, file, first_row)
    table = {ID: rows.read_ids(key)} | rows.origin() | rows.read_features(columns, batch.rows)
    for column in columns:
        if column.kind == "time":
            rows.add_span(column.source, table[column.name])
    return rows.kept(table), rows.findings


def distinct(table: pa.Table, name: str) -> tuple[pa.Table, Counts]:
    """Returns the first of the rows with the same id, in the order of the files, and the counts of the others."""
    order = np.lexsort((table[ROW].to_numpy(), table[FILE].to_numpy()))
    table = table.take(pa.array(order))
    codes = table[ID].combine_chunks().dictionary_encode().indices.to_numpy()
    first = np.sort(np.unique(codes, return_index=True)[1])
    counts: Counts = Counter({(name, "dropped", "duplicate"): len(table) - len(first), (name, "kept"): len(first)})
    return table.take(pa.array(first)), +counts
