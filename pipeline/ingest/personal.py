"""Personal columns: each value is replaced by its keyed hash as it is read, before anything else sees it."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from config.data import Table
from pipeline.ingest.batches import Malformed
from pipeline.ingest.tables import TableError, partitions, shown
from pipeline.ingest.values import as_id, is_list, null_where, to_mask
from serving.client.personal import PersonalKeyError, hashed, personal_key


def key_of(table: Table) -> bytes:
    """Returns the key of a table's personal columns; empty where it has none. Raises `TableError` without a key."""
    try:
        return personal_key() if table.personal else b""
    except PersonalKeyError as error:
        raise TableError(f"{table.path}: {error}") from error


def check_no_folders(path: str, table: Table) -> None:
    """Raises `TableError` where a folder names a personal column, since paths are shown and kept."""
    named = [column for column in table.personal if column in partitions(path)]
    if named:
        raise TableError(
            f"{table.path}: the folders of its files hold values of the personal column {named[0]!r}, and paths are "
            "shown and kept. Write the values into the files"
        )


def with_hashes(rows: pa.Table, table: Table, key: bytes) -> pa.Table:
    """Returns the rows with the values of personal columns as hashes of their text; null stays null.

    Of a list each value is hashed. Floats so large that several whole numbers share one are null.
    """
    for name in table.personal:
        if name in rows.column_names:
            column = rows[name].combine_chunks()
            rows = rows.set_column(rows.column_names.index(name), name, _hashed(column, key))
    return rows


def _hashed(column: pa.Array, key: bytes) -> pa.Array:
    if is_list(column.type):
        values = _hashed(pc.list_flatten(column), key)
        ends = np.cumsum(pc.fill_null(pc.list_value_length(column), 0).to_numpy())
        lists = pa.ListArray.from_arrays(pa.array(np.concatenate([[0], ends]).astype(np.int32)), values)
        return null_where(lists, to_mask(pc.is_null(column)))
    codes = as_id(column).values.dictionary_encode()
    hashes = pa.array([hashed(text, key) for text in codes.dictionary.to_pylist()], pa.string())
    return hashes.take(codes.indices)


def without_text(samples: tuple[Malformed, ...], table: Table) -> tuple[Malformed, ...]:
    """Returns malformed lines, of a table with personal columns without their text."""
    return tuple(sample._replace(text=shown(sample.text, table)) for sample in samples)
