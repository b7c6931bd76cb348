"""Columns of any Arrow type made text, numbers, times or lists: null where missing, and what could not be read.

Missing are null, NaN and blank text, and the words of the table's `missing`, which `missing.py` has made null before;
where a number or a time is wanted also the words of `MISSING_WORDS`, which can be none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.ingest.literals import no_values, read_lists

MISSING_WORDS: Final = ("", "nan", "null", "none", "na", "n/a", "\\n", "<na>")
"""In a column of numbers or times, lower case."""
TRUTHS: Final = {"true": 1.0, "false": 0.0}
TICKS: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
"""Per second."""
_NANOSECONDS: Final = 10**9
MAX_TIME: Final = 2**33
"""Seconds from 1970 in either direction, 272 years: what lies beyond has another unit than the configured one."""

_FLOAT32_MAX: Final = float(np.finfo(np.float32).max)

_OFFSET: Final = r"\d[T ]\d{2}.*(?:[Zz]|[+-]\d{2}(?::?\d{2})?)$"
"""Of a time's text that names its distance from UTC."""


@dataclass(frozen=True)
class Parsed:
    """A column that was read.

    Attributes:
      values: Arrow array [n], null where missing or unparsable.
      is_unparsable: bool [n]: there is a value and it cannot be read.
    """

    values: pa.Array
    is_unparsable: np.ndarray


def as_text(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Text [n] without blanks at its ends; a number is spelt alike whatever its type: 3, 3.0 and 3.00 are "3"."""
    values = _first_of_lists(_flat(column))
    if pa.types.is_floating(values.type):
        text = _floats_as_text(values)
    elif pa.types.is_decimal(values.type):
        text = _decimals_as_text(values)
    elif pa.types.is_null(values.type):
        text = values.cast(pa.string())
    else:
        text = pc.utf8_trim_whitespace(pc.cast(values, pa.string()))
    return null_where(text, _to_mask(pc.equal(text, "")))


def as_id(column: pa.ChunkedArray | pa.Array) -> Parsed:
    """Ids as `as_text`; unparsable are floats so large that several whole numbers share one: from 2^53 on (float32:
    2^24), and infinite ones."""
    values = _first_of_lists(_flat(column))
    text, is_rounded = as_text(values), np.zeros(len(values), bool)
    if pa.types.is_floating(values.type):
        is_rounded = np.abs(_to_numpy(values)) >= 2.0 ** (np.finfo(values.type.to_pandas_dtype()).nmant + 1)
    return Parsed(null_where(text, is_rounded), is_rounded)


def holds_several(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Which values are lists of more than one, of which every reader but `as_list` takes the first: bool [n]."""
    values = _flat(column)
    if not is_list(values.type):
        return np.zeros(len(values), bool)
    return _to_mask(pc.greater(pc.list_value_length(values), 1))


def as_number(column: pa.ChunkedArray | pa.Array, decimal: str = ".") -> Parsed:
    """Numbers, float64 [n]; `true` and `false` are 1 and 0. Infinite is unparsable. In text `decimal` stands before
    the decimals."""
    values = _first_of_lists(_flat(column))
    if not is_text(values.type):
        numbers = _to_numpy(values)
        return _parsed(numbers, np.isinf(numbers))
    text = pc.utf8_lower(pc.utf8_trim_whitespace(pc.cast(values, pa.string())))
    if decimal != ".":
        text = pc.replace_substring(pc.replace_substring(text, ".", "?"), decimal, ".")  # a point is no number's there
    text = _null_where_missing(text, text)
    numbers = _text_to_numpy(text)
    return _parsed(numbers, ~np.isfinite(numbers) & is_valid(text))


def as_float32(column: pa.ChunkedArray | pa.Array, decimal: str = ".") -> Parsed:
    """Numbers as `as_number`, float32 [n]; unparsable too is what float32 cannot hold."""
    read = as_number(column, decimal)
    is_beyond = beyond_float32(_to_numpy(read.values))
    return Parsed(null_where(read.values, is_beyond).cast(pa.float32()), read.is_unparsable | is_beyond)


def beyond_float32(numbers: np.ndarray) -> np.ndarray:
    """Which finite numbers float32 cannot hold: bool [n]."""
    return np.isfinite(numbers) & (np.abs(numbers) > _FLOAT32_MAX)


def as_time(column: pa.ChunkedArray | pa.Array, form: str) -> Parsed:
    """Whole seconds since 1970, rounded down, int64 [n]. `form` is a `TimeUnit` or a format of strptime; columns of a
    time type need none."""
    times = as_nanoseconds(column, form)
    return Parsed(split_seconds(times.values)[0], times.is_unparsable)


def split_seconds(nanoseconds: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Whole seconds, rounded down, int64 [n], and the nanoseconds beyond them, int32 [n], 0 where missing."""
    seconds, beyond = np.divmod(pc.fill_null(nanoseconds, 0).to_numpy(), _NANOSECONDS)
    return pa.array(seconds, mask=~is_valid(nanoseconds)), pa.array(beyond.astype(np.int32))


def as_nanoseconds(column: pa.ChunkedArray | pa.Array, form: str) -> Parsed:
    """Nanoseconds since 1970, int64 [n], as exact as a float64 of the column's unit. As `as_time`."""
    values = _first_of_lists(_flat(column))
    if pa.types.is_date(values.type):
        values = pc.cast(values, pa.timestamp("s"))
    if pa.types.is_timestamp(values.type):
        ticks, read = TICKS[values.type.unit], as_number(pc.cast(values, pa.int64()))
    elif form not in TICKS:
        text = as_text(values)
        text = _null_where_missing(text, pc.utf8_lower(text))
        return _from_iso8601(text) if form == "iso8601" else _from_format(text, form)
    else:
        ticks, read = TICKS[form], as_number(values)
    numbers = _to_numpy(read.values)
    is_far = np.abs(np.floor(numbers / ticks)) >= MAX_TIME
    is_read = ~(np.isnan(numbers) | is_far)
    numbers = np.where(is_read, numbers, 0)
    whole, size = np.floor(numbers), _NANOSECONDS // ticks
    # The parts one by one: a float64 does not hold their sum.
    nanoseconds = whole.astype(np.int64) * size + ((numbers - whole) * size).astype(np.int64)
    return Parsed(pa.array(nanoseconds, mask=~is_read), read.is_unparsable | is_far)


def as_joined_text(column: pa.ChunkedArray | pa.Array, separator: str) -> pa.Array:
    """As `as_text`, but of a list all values, with the separator between them."""
    values = _flat(column)
    return pc.binary_join(_without_blanks(values, ()), separator) if is_list(values.type) else as_text(values)


def as_list(column: pa.ChunkedArray | pa.Array, separator: str, missing: Sequence[str] = ()) -> pa.Array:
    """Lists of text [n]: list columns as they are, text cut at the separator, without blanks at the ends of a value.
    Blank values and the words of `missing` are left out.

    Text that is a list as JSON, Python or NumPy writes it is that list, whatever the separator.
    """
    values = _flat(column)
    if not is_list(values.type):
        if not separator:
            raise ValueError("`separator` should be at least one character. Received: ''")
        values = values.cast(pa.string()) if is_text(values.type) else as_text(values)
        values = read_lists(pc.utf8_trim_whitespace(values), pc.split_pattern(values, separator))
    return _without_blanks(values, missing)


def null_where(values: pa.Array, mask: np.ndarray) -> pa.Array:
    """The values, null where the mask holds. (Arrow's `if_else` reads slices of texts and lists wrongly.)"""
    if not mask.any():
        return values
    return values.take(pa.array(np.arange(len(values)), mask=mask))


def is_valid(values: pa.Array) -> np.ndarray:
    """Which values are not null: bool [n]."""
    return _to_mask(pc.is_valid(values))


def _to_mask(values: pa.Array) -> np.ndarray:
    return np.asarray(pc.fill_null(values, False).to_numpy(zero_copy_only=False), bool)


def _without_blanks(lists: pa.Array, missing: Sequence[str]) -> pa.Array:
    values = pc.list_flatten(lists)
    if is_list(values.type) and len(values):
        raise no_values("list", str(lists.drop_null()[0].as_py()))
    rows = pc.list_parent_indices(lists).to_numpy()
    words = as_text(values)
    is_kept = is_valid(words) & ~_to_mask(pc.is_in(words, pa.array(missing, pa.string())))
    ends = np.cumsum(np.bincount(rows[is_kept], minlength=len(lists)))
    offsets = pa.array(np.concatenate([[0], ends]).astype(np.int32))
    built = pa.ListArray.from_arrays(offsets, words.filter(pa.array(is_kept)))
    return null_where(built, np.diff(ends, prepend=0) == 0)


def _flat(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(values, pa.ChunkedArray):
        values = pa.concat_arrays(values.chunks)
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


def is_list(kind: pa.DataType) -> bool:
    """Whether values of the type are lists."""
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def is_text(kind: pa.DataType) -> bool:
    """Whether values of the type are text, or bytes that may be."""
    return any(check(kind) for check in (pa.types.is_string, pa.types.is_large_string, is_binary))


def is_binary(kind: pa.DataType) -> bool:
    """Whether values of the type are bytes of any length."""
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _first_of_lists(values: pa.Array) -> pa.Array:
    """TFRecords hold every feature as a list: its first value counts where one is wanted."""
    if not is_list(values.type):
        return values
    lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy()
    firsts = np.cumsum(lengths) - lengths
    return pc.list_flatten(values).take(pa.array(firsts, mask=lengths == 0))


def _floats_as_text(values: pa.Array) -> pa.Array:
    numbers = _to_numpy(values)
    is_whole = np.isfinite(numbers) & (np.floor(numbers) == numbers) & (np.abs(numbers) < 2**53)
    whole = pc.cast(pa.array(np.where(is_whole, numbers, 0).astype(np.int64), mask=~is_whole), pa.string())
    other = pc.cast(pa.array(numbers, mask=np.isnan(numbers)), pa.string())
    return pc.coalesce(whole, other)


def _decimals_as_text(values: pa.Array) -> pa.Array:
    """Without zeros at the end; Arrow itself writes 0.00 of a scale of 8 as 0E-8."""
    is_whole = _to_mask(pc.equal(pc.trunc(values), values))
    whole = pc.cast(pc.cast(null_where(values, ~is_whole), pa.decimal256(76, 0)), pa.string())
    other = pc.replace_substring_regex(pc.cast(null_where(values, is_whole), pa.string()), r"(\.\d*?)0+$", r"\1")
    return pc.coalesce(whole, other)


def _to_numpy(values: pa.Array) -> np.ndarray:
    """Any numeric column as float64, NaN where null."""
    if pa.types.is_boolean(values.type):
        values = pc.cast(values, pa.int8())
    return np.asarray(pc.cast(values, pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)


def _null_where_missing(text: pa.Array, words: pa.Array) -> pa.Array:
    """The text, null where its word, trimmed and in lower case, is one of `MISSING_WORDS`."""
    return null_where(text, _to_mask(pc.is_in(words, pa.array(MISSING_WORDS))))


def _text_to_numpy(text: pa.Array) -> np.ndarray:
    try:
        return _to_numpy(pc.cast(text, pa.float64()))
    except pa.ArrowInvalid:  # a value that is no number: the slow way tells which
        words = text.to_pandas()
        words = words.mask(words.isin(TRUTHS), words.map(TRUTHS))
        return pd.to_numeric(words, errors="coerce").to_numpy(np.float64)


def _from_iso8601(text: pa.Array) -> Parsed:
    read = _read_iso8601(text)
    if not read.is_unparsable.any():
        return read
    # As BigQuery, PostgreSQL and Java write UTC, and ISO 8601 allows the comma that Python's logs have.
    plain = pc.replace_substring_regex(text, r"(?i)\s*(?:UTC|GMT|Z(?:\[UTC\])?)$", "Z")
    plain = pc.replace_substring_regex(plain, r"^(\d{4}-\d{2}-\d{2})t", r"\1T")
    again = _read_iso8601(pc.replace_substring_regex(plain, r"(:\d{2}),(\d+)", r"\1.\2"))
    return Parsed(pc.coalesce(read.values, again.values), read.is_unparsable & again.is_unparsable)


def _from_format(text: pa.Array, form: str) -> Parsed:
    times = pd.to_datetime(text.to_pandas(), format=form, utc=True, errors="coerce")
    nanoseconds = times.to_numpy("datetime64[ns]").astype(np.int64)
    is_read, is_given = times.notna().to_numpy(), is_valid(text)
    return Parsed(pa.array(nanoseconds, mask=~is_read), is_given & ~is_read)


def _read_iso8601(text: pa.Array) -> Parsed:
    series = text.to_pandas()
    times = np.full(len(series), "NaT", "datetime64[ns]")
    # pandas lends a time without an offset the offset of the time before it, so the two kinds are read apart.
    has_offset = series.str.contains(_OFFSET, na=False).to_numpy(bool)
    for kind in (has_offset, ~has_offset):
        times[kind] = pd.to_datetime(series[kind], format="ISO8601", utc=True, errors="coerce").to_numpy(times.dtype)
    is_read, is_given = ~np.isnat(times), is_valid(text)
    return Parsed(pa.array(times.astype(np.int64), mask=~is_read), is_given & ~is_read)


def _parsed(numbers: np.ndarray, is_unparsable: np.ndarray) -> Parsed:
    return Parsed(pa.array(numbers, mask=~np.isfinite(numbers)), is_unparsable)
