"""Rows of the items or users table: an id and features."""

from collections import Counter
from typing import Final

import numpy as np
import pyarrow as pa

from pipeline.config.data import TimeUnit
from pipeline.ingest.columns import Column
from pipeline.ingest.events import FILE, ROW, read_column
from pipeline.ingest.reading import Batch
from pipeline.ingest.report import Counts
from pipeline.ingest.values import as_text, is_valid

ID: Final = "id"


def clean_entities(
    columns: tuple[Column, ...], key: str, unit: TimeUnit, name: str, batch: Batch, file: int, first_row: int
) -> tuple[pa.Table, Counts]:
    """Reads rows of a table of items or users. A row without id is dropped; a value that cannot be read is missing.

    Args:
      columns: The features.
      key: The id's column.
      unit: Of features of kind `time`.
      name: The table's name in the counts.
      batch: The rows.
      file: The index of their file, `first_row` the place of the first of them in it.
      first_row: See above.

    Returns:
      Columns `id`, `file`, `row` and the features by name, null where missing; and the counts.
    """
    size = len(batch.rows)
    ids = as_text(batch.rows[key])
    has_id = is_valid(ids)
    dropped = {"malformed row": batch.malformed, f"missing {key}": int((~has_id).sum())}
    counts: Counts = Counter({(name, "rows"): size + batch.malformed})
    counts.update({(name, "dropped", reason): number for reason, number in dropped.items()})
    table = {
        ID: ids,
        FILE: pa.array(np.full(size, file, np.int64)),
        ROW: pa.array(np.arange(first_row, first_row + size)),
    }
    is_bad = ~has_id
    for column in columns:
        parsed = read_column(column, batch.rows, unit)
        table[column.name] = parsed.values
        counts[name, "unparsable", column.source] += int((parsed.is_unparsable & has_id).sum())
        is_bad |= parsed.is_unparsable
    counts[name, "bad_rows"] += int(is_bad.sum()) + batch.malformed
    return pa.table(table).filter(pa.array(has_id)), +counts


def distinct(table: pa.Table, name: str) -> tuple[pa.Table, Counts]:
    """Of rows with the same id the first in the order of the files; and the number of the others."""
    order = np.lexsort((table[ROW].to_numpy(), table[FILE].to_numpy()))
    table = table.take(pa.array(order))
    codes = table[ID].combine_chunks().dictionary_encode().indices.to_numpy()
    first = np.sort(np.unique(codes, return_index=True)[1])
    counts: Counts = Counter({(name, "dropped", "duplicate"): len(table) - len(first), (name, "kept"): len(first)})
    return table.take(pa.array(first)), +counts
