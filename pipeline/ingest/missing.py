"""What becomes of values as they are read: a table's words for missing are null, and ids written as floats numbers."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from config.data import Table
from pipeline.ingest.values import as_number, is_binary, is_text, null_where, to_mask

_FLOAT: Final = r"^\s*(?:[-+]?\d+(?:\.0+|(?:\.\d+)?[eE]\+?\d+))?\s*$"
"""A whole number as pandas, NumPy and spreadsheets write floats; or blank."""
_DECIDING: Final = 100
"""The number of first values that decide in most files."""


def without_missing(rows: pa.Table, words: Sequence[str]) -> pa.Table:
    """Returns the rows, null where a value, or a value of a list, is one of the words.

    Numbers are compared with the words that are numbers.
    """
    texts = pa.array(words, pa.string())
    numbers = pa.array([number for word in words if math.isfinite(number := _number(word))], pa.float64())
    for index, field in enumerate(rows.schema):
        column = rows.column(index).combine_chunks()
        kept = _without(column, texts, numbers)
        if kept is not column:
            rows = rows.set_column(index, field.name, kept)
    return rows


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return math.nan


def _without(column: pa.Array, texts: pa.Array, numbers: pa.Array) -> pa.Array:
    if pa.types.is_list(column.type):
        values = column.flatten()
        kept = _without(values, texts, numbers)
        if kept is values:
            return column
        ends = np.cumsum(pc.fill_null(pc.list_value_length(column), 0).to_numpy())
        offsets = pa.array(np.concatenate([[0], ends]).astype(np.int32))
        return pa.ListArray.from_arrays(offsets, kept, mask=pc.is_null(column))
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if is_binary(kind):  # may not be text
        is_missing = pc.is_in(column.cast(pa.binary()), texts.cast(pa.binary()))
    elif is_text(kind):
        if pa.types.is_string(column.type) and not _may_hold(column, texts):
            return column
        is_missing = pc.is_in(pc.utf8_trim_whitespace(column.cast(pa.string())), texts)
    elif len(numbers) and (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        is_missing = pc.is_in(pc.cast(column, pa.float64(), safe=False), numbers)
    else:
        return column
    return null_where(column, to_mask(is_missing))


def _may_hold(column: pa.StringArray, texts: pa.Array) -> bool:
    """Returns whether a word stands anywhere in the column's bytes.

    In most columns none does, and single bytes are found fastest.
    """
    data = column.buffers()[2]
    held = data.to_pybytes() if data is not None else b""
    words = [word.encode() for word in texts.to_pylist()]
    firsts = {first for first in {word[:1] for word in words} if first in held}
    return any(word in held for word in words if word[:1] in firsts)


def float_ids(table: Table, first: pa.Table, read: Callable[[list[str]], Iterable[pa.Table]]) -> list[str]:
    """Returns the columns of ids whose every text in the file is a whole number in the form of a float.

    pandas writes a column of numbers of which one is missing as 17.0 in place of 17. Where any other text is among them
    (7 or 007 beside 7.0), all ids of the column are taken as they are. Two files that differ in this show in their
    overlap.

    Args:
      table: The table.
      first: The first rows of the file, which decide in most files.
      read: Reads columns of the whole file, for those that the first rows do not decide.
    """
    columns = [name for name in table.ids if name in first.column_names and _is_float(first, name, table.missing)]
    for rows in read(columns) if columns else ():
        columns = [name for name in columns if _is_float(rows, name, table.missing)]
    return columns


def as_floats(rows: pa.Table, columns: Iterable[str]) -> pa.Table:
    """Returns the rows with the columns that `float_ids` found as float64."""
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
