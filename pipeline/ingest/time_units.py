"""Which unit makes dates of numbers: what to tell somebody whose times were read in another one."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

import pandas as pd

from pipeline.ingest.values import TICKS

EARLIEST: Final = 315_532_800
"""1980-01-01: no log of events is older."""
_PLAUSIBLE: Final = 631_152_000
"""1990-01-01: what a guess has to come out at."""
_DAY: Final = 86_400


class Span(NamedTuple):
    """Times read in another unit: first and last in seconds since 1970."""

    unit: str
    first: float
    last: float


def unit_of_span(first: float, last: float, unit: str, now: float) -> Span | None:
    """The unit in which times would lie between 1990 and tomorrow; None where there is none.

    Args:
      first: The first time as it was read, seconds since 1970.
      last: The last one.
      unit: In which they were read; None of those that are guessed where it is no unit of numbers.
      now: Seconds since 1970.
    """
    if unit not in TICKS:
        return None
    raw = first * TICKS[unit], last * TICKS[unit]
    spans = (Span(name, raw[0] / ticks, raw[1] / ticks) for name, ticks in TICKS.items() if name != unit)
    return next((span for span in spans if _PLAUSIBLE <= span.first <= span.last <= now + _DAY), None) or _dates(*raw)


def suggested_unit(values: Sequence[str], unit: str) -> str | None:
    """The `time_unit` that reads all of the values as times between 1990 and tomorrow; None where there is none."""
    numbers = pd.to_numeric(pd.Series(values, dtype=object), errors="coerce")
    now = time.time()
    if not numbers.isna().any():
        for name, ticks in TICKS.items():
            if name != unit and numbers.between(_PLAUSIBLE * ticks, (now + _DAY) * ticks).all():
                return name
    times = pd.to_datetime(pd.Series(values, dtype=object), format="ISO8601", utc=True, errors="coerce")
    return "iso8601" if unit != "iso8601" and not times.isna().any() else None


def is_plausible(seconds: float, now: float) -> bool:
    """Whether a time lies between 1990 and tomorrow."""
    return _PLAUSIBLE <= seconds <= now + _DAY


def _dates(first: float, last: float) -> Span | None:
    """Numbers such as 20240501 are dates without separators, those such as 2024 years."""
    if 1900 <= first <= last <= datetime.now().year + 1:
        years = (datetime(int(end), 1, 1, tzinfo=UTC).timestamp() for end in (first, last))
        return Span("iso8601", *years)
    ends = [pd.to_datetime(f"{end:.0f}", format="%Y%m%d", utc=True, errors="coerce") for end in (first, last)]
    if any(pd.isna(end) for end in ends):
        return None
    return Span("iso8601", ends[0].timestamp(), ends[1].timestamp()) if ends[0].year >= 1990 else None
