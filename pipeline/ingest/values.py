"""Reads columns of any Arrow type as text, ids, numbers or lists, null where missing.

Missing are null, NaN and blank text, and the words of the table's `missing`, which `missing.py` has made null before.
Where a number or a time is expected the words of `MISSING_WORDS`, which cannot be one, are missing too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.ingest.literals import nested_values, read_lists

AnyArray: TypeAlias = pa.ChunkedArray | pa.Array
MISSING_WORDS: Final = ("", "nan", "null", "none", "na", "n/a", "\\n", "<na>")
"""In a column of numbers or times, lower case."""
_TRUTHS: Final = {"true": 1.0, "false": 0.0}
_FLOAT32_MAX: Final = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Parsed:
    """A column that was read.

    Attributes:
      values: Arrow array [n], null where missing or unparsable.
      is_unparsable: bool [n]: there is a value and it cannot be read.
    """

    values: pa.Array
    is_unparsable: np.ndarray


def as_text(column: AnyArray) -> pa.Array:
    """Returns text [n] without blanks at its ends; a number has one spelling: 3, 3.0 and 3.00 are "3"."""
    values = first_values(column)
    if pa.types.is_floating(values.type):
        text = _floats_as_text(values)
    elif pa.types.is_decimal(values.type):
        text = _decimals_as_text(values)
    elif pa.types.is_null(values.type):
        text = values.cast(pa.string())
    else:
        text = pc.utf8_trim_whitespace(pc.cast(values, pa.string()))
    return null_where(text, to_mask(pc.equal(text, "")))


def as_id(column: AnyArray) -> Parsed:
    """Returns ids as `as_text`.

    Unparsable are infinite floats, and floats so large that several whole numbers share one: from 2^53 on, of float32
    from 2^24 on.
    """
    values = first_values(column)
    text, is_rounded = as_text(values), np.zeros(len(values), bool)
    if pa.types.is_floating(values.type):
        is_rounded = np.abs(to_float64(values)) >= 2.0 ** (np.finfo(values.type.to_pandas_dtype()).nmant + 1)
    return Parsed(null_where(text, is_rounded), is_rounded)


def as_number(column: AnyArray, decimal: str = ".") -> Parsed:
    """Returns numbers, float64 [n]; `true` and `false` are 1 and 0, and infinite numbers unparsable.

    Args:
      column: Values [n].
      decimal: The decimal mark of numbers that are text.
    """
    values = first_values(column)
    if is_text(values.type):
        text = pc.utf8_lower(pc.utf8_trim_whitespace(pc.cast(values, pa.string())))
        if decimal != ".":  # a number has no point there
            text = pc.replace_substring(pc.replace_substring(text, ".", "?"), decimal, ".")
        text = without_missing_words(text, text)
        numbers = _text_to_float64(text)
        is_unparsable = ~np.isfinite(numbers) & is_valid(text)
    else:
        numbers = to_float64(values)
        is_unparsable = np.isinf(numbers)
    return Parsed(pa.array(numbers, mask=~np.isfinite(numbers)), is_unparsable)


def as_float32(column: AnyArray, decimal: str = ".") -> Parsed:
    """Returns numbers as `as_number`, float32 [n]; numbers beyond float32 are unparsable."""
    read = as_number(column, decimal)
    is_beyond = beyond_float32(to_float64(read.values))
    return Parsed(null_where(read.values, is_beyond).cast(pa.float32()), read.is_unparsable | is_beyond)


def beyond_float32(numbers: np.ndarray) -> np.ndarray:
    """Returns which finite numbers float32 cannot hold: bool [n]."""
    return np.isfinite(numbers) & (np.abs(numbers) > _FLOAT32_MAX)


def as_joined_text(column: AnyArray, separator: str) -> pa.Array:
    """Returns text [n] as `as_text`, but of a list all values, with the separator between them."""
    values = _flat(column)
    return pc.binary_join(_without_blanks(values, ()), separator) if is_list(values.type) else as_text(values)


def as_list(column: AnyArray, separator: str, missing: Sequence[str] = ()) -> pa.Array:
    """Returns lists of text [n]: list columns as they are, other text split at the separator.

    Text that is a list as JSON, Python or NumPy writes it is that list, whatever the separator. Blanks at the ends of
    values, blank values and the words of `missing` are left out.
    """
    values = _flat(column)
    if not is_list(values.type):
        if not separator:
            raise ValueError("`separator` should be at least one character. Received: ''")
        values = values.cast(pa.string()) if is_text(values.type) else as_text(values)
        values = read_lists(pc.utf8_trim_whitespace(values), pc.split_pattern(values, separator))
    return _without_blanks(values, missing)


def holds_several(column: AnyArray) -> np.ndarray:
    """Returns which values are lists of more than one, of which all but `as_list` take the first: bool [n]."""
    values = _flat(column)
    if not is_list(values.type):
        return np.zeros(len(values), bool)
    return to_mask(pc.greater(pc.list_value_length(values), 1))


def holds_line_end(values: pa.Array) -> np.ndarray:
    """Returns which texts, or lists of texts, hold a line feed or a carriage return: bool [n], False where missing.

    No vocabulary can hold them, since TensorFlow reads vocabulary files line by line.
    """
    if pa.types.is_list(values.type):
        rows = pc.list_parent_indices(values).to_numpy()[holds_line_end(pc.list_flatten(values))]
        return np.bincount(rows, minlength=len(values)) > 0
    data = values.buffers()[-1] if len(values) else None
    characters = np.frombuffer(data if data is not None else b"", np.uint8)
    # In UTF-8 no other character has these two bytes.
    if not (characters == ord("\n")).any() and not (characters == ord("\r")).any():
        return np.zeros(len(values), bool)
    return to_mask(pc.match_substring_regex(values, "[\n\r]"))


def null_where(values: pa.Array, mask: np.ndarray) -> pa.Array:
    """Returns the values, null where the mask holds. (Arrow's `if_else` reads slices of texts and lists wrongly.)"""
    if not mask.any():
        return values
    return values.take(pa.array(np.arange(len(values)), mask=mask))


def is_valid(values: pa.Array) -> np.ndarray:
    """Returns which values are not null: bool [n]."""
    return to_mask(pc.is_valid(values))


def to_mask(values: pa.Array) -> np.ndarray:
    """Returns an Arrow array of bools as NumPy's, False where null: bool [n]."""
    return np.asarray(pc.fill_null(values, False).to_numpy(zero_copy_only=False), bool)


def to_float64(values: pa.Array) -> np.ndarray:
    """Returns any numeric column as float64 [n], NaN where null."""
    if pa.types.is_boolean(values.type):
        values = pc.cast(values, pa.int8())
    return np.asarray(pc.cast(values, pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)


def is_list(kind: pa.DataType) -> bool:
    """Returns whether values of the type are lists."""
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def is_text(kind: pa.DataType) -> bool:
    """Returns whether values of the type are text, or bytes that may be text."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or is_binary(kind)


def is_binary(kind: pa.DataType) -> bool:
    """Returns whether values of the type are bytes of any length."""
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def first_values(column: AnyArray) -> pa.Array:
    """Returns the column as one array, of lists the first value: TFRecords hold every feature as a list."""
    values = _flat(column)
    if not is_list(values.type):
        return values
    lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy()
    firsts = np.cumsum(lengths) - lengths
    return pc.list_flatten(values).take(pa.array(firsts, mask=lengths == 0))


def without_missing_words(text: pa.Array, words: pa.Array) -> pa.Array:
    """Returns the text, null where its word, trimmed and in lower case, is one of `MISSING_WORDS`."""
    return null_where(text, to_mask(pc.is_in(words, pa.array(MISSING_WORDS))))


def _flat(column: AnyArray) -> pa.Array:
    values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(values, pa.ChunkedArray):
        values = pa.concat_arrays(values.chunks)
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


def _without_blanks(lists: pa.Array, missing: Sequence[str]) -> pa.Array:
    values = pc.list_flatten(lists)
    if is_list(values.type) and len(values):
        raise nested_values("list", str(lists.drop_null()[0].as_py()))
    rows = pc.list_parent_indices(lists).to_numpy()
    words = as_text(values)
    is_kept = is_valid(words) & ~to_mask(pc.is_in(words, pa.array(missing, pa.string())))
    ends = np.cumsum(np.bincount(rows[is_kept], minlength=len(lists)))
    offsets = pa.array(np.concatenate([[0], ends]).astype(np.int32))
    built = pa.ListArray.from_arrays(offsets, words.filter(pa.array(is_kept)))
    return null_where(built, np.diff(ends, prepend=0) == 0)


def _floats_as_text(values: pa.Array) -> pa.Array:
    numbers = to_float64(values)
    is_whole = np.isfinite(numbers) & (np.floor(numbers) == numbers) & (np.abs(numbers) < 2**53)
    whole = pc.cast(pa.array(np.where(is_whole, numbers, 0).astype(np.int64), mask=~is_whole), pa.string())
    other = pc.cast(pa.array(numbers, mask=np.isnan(numbers)), pa.string())
    return pc.coalesce(whole, other)


def _decimals_as_text(values: pa.Array) -> pa.Array:
    """Returns decimals without zeros at the end; Arrow itself writes 0.00 of a scale of 8 as 0E-8."""
    is_whole = to_mask(pc.equal(pc.trunc(values), values))
    whole = pc.cast(pc.cast(null_where(values, ~is_whole), pa.decimal256(76, 0)), pa.string())
    other = pc.replace_substring_regex(pc.cast(null_where(values, is_whole), pa.string()), r"(\.\d*?)0+$", r"\1")
    return pc.coalesce(whole, other)


def _text_to_float64(text: pa.Array) -> np.ndarray:
    try:
        return to_float64(pc.cast(text, pa.float64()))
    except pa.ArrowInvalid:  # a value is not a number: the slow way finds which
        words = text.to_pandas()
        words = words.mask(words.isin(_TRUTHS), words.map(_TRUTHS))
        return pd.to_numeric(words, errors="coerce").to_numpy(np.float64)
