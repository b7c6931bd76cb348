"""Rows of the items or users table: an id and features."""

from collections import Counter
from typing import Final

import numpy as np
import pyarrow as pa

from pipeline.ingest.cleaning import FILE, ROW, Rows
from pipeline.ingest.columns import Column
from pipeline.ingest.findings import Counts, Findings
from pipeline.ingest.reading import Batch

ID: Final = "id"


def clean_entities(
    columns: tuple[Column, ...], key: str, name: str, batch: Batch, file: int, first_row: int
) -> tuple[pa.Table, Findings]:
    """Cleans rows of a table of items or users. A row without id is dropped; a value that cannot be read is missing.

    Args:
      columns: The features.
      key: The id's column.
      name: "items" or "users".
      batch: The rows.
      file: The index of their file.
      first_row: The index in the file of the first of them.

    Returns:
      Columns `id` (text), `file`, `row` (int64) and the features by name, null where missing; and the findings.
    """
    rows = Rows(name, batch, file, first_row)
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
