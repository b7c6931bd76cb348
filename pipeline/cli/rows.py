"""A few rows of a table, found by the value of one column: for a person to look at, not for training."""

import json
from collections.abc import Collection, Iterator
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.config.data import Table
from pipeline.ingest.tables import open_file, table_files, table_format

_CHUNK = 200_000


def find_rows(folder: str, table: Table, column: str, values: Collection[str]) -> pd.DataFrame:
    """The rows whose `column` is one of `values`, in the table's order.

    Args:
      folder: `data.folder`.
      table: A CSV, Parquet or JSON lines table.
      column: The column to search.
      values: As text; integers as decimal text.

    Returns:
      All columns, as text (`""` where missing); lists stay lists.

    Raises:
      TableError: the table cannot be read.
      ValueError: it is a TFRecord table.
    """
    found = [
        chunk[chunk[column].isin(set(values))] for path in table_files(folder, table) for chunk in _chunks(path, table)
    ]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def _chunks(path: str, table: Table) -> Iterator[pd.DataFrame]:
    kind = table_format(table)
    if kind == "tfrecord":
        raise ValueError(f"{path}: looking rows up needs a CSV, Parquet or JSON lines table. Received: tfrecord")
    with open_file(path) as file:
        if kind == "csv":
            options: dict[str, Any] = {"sep": table.separator, "encoding": table.encoding, "chunksize": _CHUNK}
            yield from pd.read_csv(file, dtype=str, keep_default_na=False, **options)
        elif kind == "parquet":
            yield from (_as_text(batch) for batch in pq.ParquetFile(file).iter_batches(_CHUNK))
        else:
            rows = (json.loads(line) for line in file if line.strip())
            yield _as_text(pa.RecordBatch.from_pylist(list(rows)))


def _as_text(batch: pa.RecordBatch) -> pd.DataFrame:
    columns = {}
    for name, values in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
            columns[name] = values.to_pandas()
        else:
            columns[name] = pc.fill_null(pc.cast(values, pa.string()), "").to_pandas()
    return pd.DataFrame(columns)
