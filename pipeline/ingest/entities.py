"""Rows of the items or users table: an id and features."""

from collections import Counter
from typing import Final

import numpy as np
import pyarrow as pa

from pipeline.ingest.columns import Column
from pipeline.ingest.events import FILE, ROW, read_column
from pipeline.ingest.findings import Counts, Findings
from pipeline.ingest.line_ends import holds_line_end
from pipeline.ingest.reading import Batch
from pipeline.ingest.samples import AN_ID, EXACT_ID, ONE_ID, add_malformed, expected_of, first_samples, tell_span
from pipeline.ingest.values import as_id, holds_several, is_valid

ID: Final = "id"


def clean_entities(
    columns: tuple[Column, ...], key: str, name: str, batch: Batch, file: int, first_row: int
) -> tuple[pa.Table, Findings]:
    """Reads rows of a table of items or users. A row without id is dropped; a value that cannot be read is missing.

    Args:
      columns: The features.
      key: The id's column.
      name: The table's name in the counts.
      batch: The rows.
      file: The index of their file, `first_row` the position of the first of them in it.
      first_row: See above.

    Returns:
      Columns `id`, `file`, `row` and the features by name, null where missing; and what was found.
    """
    size = len(batch.rows)
    findings = Findings(Counter({(name, "rows"): size + batch.malformed}))
    add_malformed(findings, name, batch, file, first_row)

    def count(kind: str, reason: str, rows: np.ndarray, column: str, expected: str) -> None:
        if number := int(rows.sum()):
            findings.counts[name, kind, reason if kind == "dropped" else column] += number
            findings.samples[name, reason] = first_samples(batch, rows, file, first_row, column, expected)

    read = as_id(batch.rows[key])
    is_several = holds_several(batch.rows[key])
    ids, is_rounded = read.values, read.is_unparsable & ~is_several
    is_missing, is_broken = ~is_valid(ids) & ~is_rounded & ~is_several, holds_line_end(ids) & ~is_several
    count("dropped", f"several values in {key}", is_several, key, ONE_ID)
    count("dropped", f"rounded {key}", is_rounded, key, EXACT_ID)
    count("dropped", f"missing {key}", is_missing, key, AN_ID)
    count("dropped", f"line end in {key}", is_broken, key, "an id in one line")
    has_id = ~(is_several | is_rounded | is_missing | is_broken)
    table = {
        ID: ids,
        FILE: pa.array(np.full(size, file, np.int64)),
        ROW: pa.array(np.arange(first_row, first_row + size)),
    }
    is_bad = ~has_id
    for column in columns:
        parsed = read_column(column, batch.rows)
        table[column.name] = parsed.values
        lost = parsed.is_unparsable & has_id
        count("unparsable", f"unparsable {column.source}", lost, column.source, expected_of(column))
        is_bad |= parsed.is_unparsable
        if column.kind == "time":
            tell_span(findings, name, column.source, parsed.values)
    if number := int(is_bad.sum()):
        findings.counts[name, "bad_rows"] += number
    return pa.table(table).filter(pa.array(has_id)), findings


def distinct(table: pa.Table, name: str) -> tuple[pa.Table, Counts]:
    """Of rows with the same id the first in the order of the files; and the number of the others."""
    order = np.lexsort((table[ROW].to_numpy(), table[FILE].to_numpy()))
    table = table.take(pa.array(order))
    codes = table[ID].combine_chunks().dictionary_encode().indices.to_numpy()
    first = np.sort(np.unique(codes, return_index=True)[1])
    counts: Counts = Counter({(name, "dropped", "duplicate"): len(table) - len(first), (name, "kept"): len(first)})
    return table.take(pa.array(first)), +counts
