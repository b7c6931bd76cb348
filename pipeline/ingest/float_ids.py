"""Ids that a float export wrote: 17.0 in one file beside 17 in another."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from config.data import Table
from pipeline.ingest.missing import without_missing
from pipeline.ingest.values import as_number

_FLOAT: Final = r"^\s*(?:[-+]?\d+(?:\.0+|(?:\.\d+)?[eE]\+?\d+))?\s*$"
"""A whole number as pandas, NumPy and spreadsheets write floats; or blank."""

_DECIDING: Final = 100
"""Of the values so many first ones decide in most files."""


def float_ids(table: Table, first: pa.Table, read: Callable[[list[str]], Iterable[pa.Table]]) -> list[str]:
    """The columns of ids whose every text in the file is a whole number in the form of a float.

    So pandas writes a column of numbers of which one is missing. Where any other text stands among them (7 or 007
    beside 7.0), all ids of the column are taken as they are. Two files that differ in this are told by their overlap.

    Args:
      table: The table.
      first: The first rows of the file: in most files they decide.
      read: Reads columns of the whole file, for those that they do not decide.
    """
    columns = [name for name in table.ids if name in first.column_names and _is_float(first, name, table.missing)]
    for rows in read(columns) if columns else ():
        columns = [name for name in columns if _is_float(rows, name, table.missing)]
    return columns


def as_floats(rows: pa.Table, columns: Iterable[str]) -> pa.Table:
    """The rows, their columns of text that `float_ids` found as float64."""
    for name in columns:
        rows = rows.set_column(rows.column_names.index(name), name, as_number(rows[name]).values)
    return rows


def _is_float(rows: pa.Table, name: str, missing: Sequence[str]) -> bool:
    kind = rows.schema.field(name).type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return False
    text = without_missing(rows.select([name]), missing)[name].drop_null()
    return all(
        bool(pc.all(pc.match_substring_regex(part, _FLOAT), min_count=0).as_py())
        for part in (text[:_DECIDING], text[_DECIDING:])
    )
