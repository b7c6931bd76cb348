"""A table's words for a missing value become null, whatever the type of the column."""

import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.ingest.values import is_binary, is_text, null_where


def without_missing(rows: pa.Table, words: Sequence[str]) -> pa.Table:
    """The rows, null where a value, or a value of a list, is one of the words. Numbers are compared with the
    words that are numbers."""
    texts, numbers = pa.array(words, pa.string()), _numbers(words)
    for position, field in enumerate(rows.schema):
        column = rows.column(position).combine_chunks()
        kept = _without(column, texts, numbers)
        if kept is not column:
            rows = rows.set_column(position, field.name, kept)
    return rows


def _without(column: pa.Array, texts: pa.Array, numbers: pa.Array) -> pa.Array:
    if pa.types.is_list(column.type):
        values = column.flatten()
        kept = _without(values, texts, numbers)
        if kept is values:
            return column
        ends = np.cumsum(pc.fill_null(pc.list_value_length(column), 0).to_numpy())
        offsets = pa.array(np.concatenate([[0], ends]).astype(np.int32))
        return pa.ListArray.from_arrays(offsets, kept, mask=pc.is_null(column))
    is_missing = _is_missing(column, texts, numbers)
    if is_missing is None:
        return column
    return null_where(column, np.asarray(is_missing.to_numpy(zero_copy_only=False), bool))


def _is_missing(column: pa.Array, texts: pa.Array, numbers: pa.Array) -> pa.Array | None:
    """bool [n]; None where the column has no such values."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if is_binary(kind):  # may be no text
        return pc.is_in(column.cast(pa.binary()), texts.cast(pa.binary()))
    if is_text(kind):
        if pa.types.is_string(column.type) and not _may_hold(column, texts):
            return None
        return pc.is_in(pc.utf8_trim_whitespace(column.cast(pa.string())), texts)
    if len(numbers) and any(f(kind) for f in (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)):
        return pc.is_in(pc.cast(column, pa.float64(), safe=False), numbers)
    return None


def _may_hold(column: pa.StringArray, texts: pa.Array) -> bool:
    """Whether a word stands anywhere in the column's bytes: in most none does, and single bytes are found fastest."""
    data = column.buffers()[2]
    held = data.to_pybytes() if data is not None else b""
    words = [word.encode() for word in texts.to_pylist()]
    firsts = {first for first in {word[:1] for word in words} if first in held}
    return any(word in held for word in words if word[:1] in firsts)


def _numbers(words: Sequence[str]) -> pa.Array:
    return pa.array([number for word in words if math.isfinite(number := _number(word))], pa.float64())


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return math.nan
