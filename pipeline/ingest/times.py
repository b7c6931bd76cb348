"""Times: read in a unit or format, written in messages, and guessed where they were read in another one."""

import itertools
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.ingest.values import (
    AnyArray,
    Parsed,
    as_number,
    as_text,
    first_values,
    is_valid,
    to_float64,
    to_mask,
    without_missing_words,
)

TICKS: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
"""Per second."""
MAX_TIME: Final = 2**33
"""Seconds from 1970 in either direction, 272 years: times beyond have another unit than the configured one."""
EARLIEST: Final = 315_532_800
"""1980-01-01, seconds since 1970: no log of events is older."""
_EARLIEST_GUESS: Final = 631_152_000
"""1990-01-01, seconds since 1970: a guessed unit gives no earlier times."""
_DAY: Final = 86_400
_NANOSECONDS: Final = 10**9
_UNITS: Final = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_OFFSET: Final = r"\d[T ]\d{2}.*(?:[Zz]|[+-]\d{2}(?::?\d{2})?)$"
"""Matches the text of a time with an offset from UTC."""

_DATES: Final = (
    *("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d"),
    *("%b %d %Y", "%b %d, %Y", "%d %b %Y", "%d-%b-%Y", "%B %d, %Y", "%d %B %Y", "%m %d, %Y"),
    *("%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%d-%b-%y"),
)
_CLOCKS: Final = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", " %H:%M:%S.%f", "T%H:%M:%S", ", %H:%M:%S")
_FORMATS: Final = (
    *("%a, %d %b %Y %H:%M:%S %z", "%a, %d %b %Y %H:%M:%S %Z", "%a %b %d %H:%M:%S %z %Y", "%a %b %d %H:%M:%S %Y"),
    *("%d/%b/%Y:%H:%M:%S %z", "%Y-%m-%d %H:%M:%S %Z", "%Y%m%d%H%M%S", "%Y%m%d%H%M"),
    *map("".join, itertools.product(_DATES, _CLOCKS)),
)
"""As mails, web servers and spreadsheets write times."""


def as_time(column: AnyArray, form: str) -> Parsed:
    """Returns whole seconds since 1970, rounded down, int64 [n].

    Args:
      column: Times [n].
      form: A `TimeUnit` or a format of strptime; columns of a time type need none.
    """
    times = as_nanoseconds(column, form)
    return Parsed(split_seconds(times.values)[0], times.is_unparsable)


def split_seconds(nanoseconds: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Returns whole seconds, rounded down, int64 [n], and the nanoseconds beyond them, int32 [n], 0 where missing."""
    seconds, beyond = np.divmod(pc.fill_null(nanoseconds, 0).to_numpy(), _NANOSECONDS)
    return pa.array(seconds, mask=~is_valid(nanoseconds)), pa.array(beyond.astype(np.int32))


def as_nanoseconds(column: AnyArray, form: str) -> Parsed:
    """Returns nanoseconds since 1970, int64 [n], as exact as a float64 of the column's unit. Args as of `as_time`."""
    values = first_values(column)
    if pa.types.is_date(values.type):
        values = pc.cast(values, pa.timestamp("s"))
    if pa.types.is_timestamp(values.type):
        ticks, read = TICKS[values.type.unit], as_number(pc.cast(values, pa.int64()))
    elif form in TICKS:
        ticks, read = TICKS[form], as_number(values)
    else:
        text = as_text(values)
        text = without_missing_words(text, pc.utf8_lower(text))
        nanoseconds, is_read = _from_iso8601(text) if form == "iso8601" else _from_format(text, form)
        return Parsed(pa.array(nanoseconds, mask=~is_read), is_valid(text) & ~is_read)
    numbers = to_float64(read.values)
    is_far = np.abs(np.floor(numbers / ticks)) >= MAX_TIME
    is_read = ~(np.isnan(numbers) | is_far)
    numbers = np.where(is_read, numbers, 0)
    whole, size = np.floor(numbers), _NANOSECONDS // ticks
    # The parts one by one: a float64 does not hold their sum.
    nanoseconds = whole.astype(np.int64) * size + ((numbers - whole) * size).astype(np.int64)
    return Parsed(pa.array(nanoseconds, mask=~is_read), read.is_unparsable | is_far)


def _from_iso8601(text: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Returns nanoseconds, int64 [n], and which texts were read, bool [n]."""
    times = _parse_iso8601(text)
    unread = np.flatnonzero(np.isnat(times) & is_valid(text))
    if len(unread):
        # As BigQuery, PostgreSQL and Java write UTC, and ISO 8601 allows the comma that Python's logs have.
        plain = text.take(pa.array(unread))
        plain = pc.replace_substring_regex(plain, r"(?i)\s*(?:UTC|GMT|Z(?:\[UTC\])?)$", "Z")
        plain = pc.replace_substring_regex(plain, r"^(\d{4}-\d{2}-\d{2})t", r"\1T")
        times[unread] = _parse_iso8601(pc.replace_substring_regex(plain, r"(:\d{2}),(\d+)", r"\1.\2"))
    return times.astype(np.int64), ~np.isnat(times)


def _parse_iso8601(text: pa.Array) -> np.ndarray:
    """Returns the times of texts, datetime64[ns] [n], NaT where they cannot be read."""
    series = text.to_pandas()
    times = np.full(len(series), "NaT", "datetime64[ns]")
    # pandas lends a time without an offset the offset of the time before it, so the two kinds are read apart.
    has_offset = to_mask(pc.match_substring_regex(text, _OFFSET))
    for kind in (has_offset, ~has_offset):
        times[kind] = pd.to_datetime(series[kind], format="ISO8601", utc=True, errors="coerce").to_numpy(times.dtype)
    return times


def _from_format(text: pa.Array, form: str) -> tuple[np.ndarray, np.ndarray]:
    """As `_from_iso8601`, of a format of strptime."""
    times = pd.to_datetime(text.to_pandas(), format=form, utc=True, errors="coerce")
    return times.to_numpy("datetime64[ns]").astype(np.int64), times.notna().to_numpy()


def expected_time(times: str) -> str:
    """Returns what a time should look like, for a message, of a `TimeUnit` or a format of strptime."""
    if times in _UNITS:
        return f"{_UNITS[times]} since 1970 (`time_unit: {times}`)"
    if times != "iso8601":
        return f"a time such as {datetime(2024, 5, 1, 12, 30).strftime(times)} (`time_format: {times!r}`)"
    return "a time such as 2024-05-01T12:30:00Z (`time_unit: iso8601`)"


def as_date(seconds: float) -> str:
    """Returns seconds since 1970 as `2024-05-01 12:30:00`, UTC; beyond the calendar as seconds."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError):
        return f"{seconds:,.0f} seconds from 1970"


class Span(NamedTuple):
    """Times read in another unit: first and last in seconds since 1970."""

    unit: str
    first: float
    last: float


def unit_of_span(first: float, last: float, unit: str, now: float) -> Span | None:
    """Returns the unit in which times would lie between 1990 and tomorrow; None where there is none.

    For example, times in seconds that were read as milliseconds run over 19 days of January 1970, and `s` is returned.

    Args:
      first: The first time as it was read, seconds since 1970.
      last: The last one.
      unit: The unit in which they were read; of a unit of text nothing is guessed.
      now: Seconds since 1970.
    """
    if unit not in TICKS:
        return None
    raw = first * TICKS[unit], last * TICKS[unit]
    spans = (Span(name, raw[0] / ticks, raw[1] / ticks) for name, ticks in TICKS.items() if name != unit)
    found = next((span for span in spans if _EARLIEST_GUESS <= span.first <= span.last <= now + _DAY), None)
    return found or _dates(*raw)


def _dates(first: float, last: float) -> Span | None:
    """Returns the span of numbers such as 20240501, dates without separators, or such as 2024, years."""
    if 1900 <= first <= last <= datetime.now().year + 1:
        years = (datetime(int(end), 1, 1, tzinfo=UTC).timestamp() for end in (first, last))
        return Span("iso8601", *years)
    ends = [pd.to_datetime(f"{end:.0f}", format="%Y%m%d", utc=True, errors="coerce") for end in (first, last)]
    if any(pd.isna(end) for end in ends):
        return None
    return Span("iso8601", ends[0].timestamp(), ends[1].timestamp()) if ends[0].year >= 1990 else None


def suggested_unit(values: Sequence[str], unit: str) -> str | None:
    """Returns the `time_unit`, other than `unit`, that reads all values as times between 1990 and tomorrow, or None."""
    numbers = pd.to_numeric(pd.Series(values, dtype=object), errors="coerce")
    latest = time.time() + _DAY
    if not numbers.isna().any():
        for name, ticks in TICKS.items():
            if name != unit and numbers.between(_EARLIEST_GUESS * ticks, latest * ticks).all():
                return name
    times = pd.to_datetime(pd.Series(values, dtype=object), format="ISO8601", utc=True, errors="coerce")
    return "iso8601" if unit != "iso8601" and not times.isna().any() else None


def suggested_formats(values: Sequence[str], known: str) -> list[str]:
    """Returns formats of strptime, other than `known`, that read all values as times between 1990 and tomorrow.

    There are at most two, as of day and month.
    """
    latest = time.time() + _DAY

    def reads(form: str, value: str) -> bool:
        try:
            read = datetime.strptime(value.strip(), form)
        except ValueError:
            return False
        return _EARLIEST_GUESS <= read.replace(tzinfo=read.tzinfo or UTC).timestamp() <= latest

    fitting = (form for form in _FORMATS if form != known and all(reads(form, value) for value in values))
    return list(itertools.islice(fitting, 2))
