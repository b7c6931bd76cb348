"""A few rows of a table, found by the value of one column: for a person to look at, not for training."""

from collections.abc import Collection, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from config.data import Table
from pipeline.ingest.reading import read_batches
from pipeline.ingest.tables import table_files
from pipeline.ingest.values import as_text


def find_rows(folder: str, table: Table, key: str, values: Collection[str], columns: Sequence[str]) -> pa.Table:
    """The rows whose column `key` is one of `values` (as text), in the order in which ingest reads them.

    Args:
      folder: `data.folder`.
      table: The table.
      key: The column to search.
      values: As text; whole numbers as decimal text.
      columns: The columns to return besides `key`.

    Returns:
      The columns, in types of the file's choice. Empty where nothing is found.

    Raises:
      TableError: the table cannot be read, or lacks a column.
    """
    wanted, names = pa.array(sorted(set(values)), pa.string()), list(dict.fromkeys([key, *columns]))
    found = []
    for path in table_files(folder, table):
        for batch in read_batches(path, table, names):
            rows = batch.rows.filter(pc.is_in(as_text(batch.rows[key]), wanted))
            found.append(rows)
    return pa.concat_tables(found, promote_options="permissive") if found else pa.table({n: pa.nulls(0) for n in names})
