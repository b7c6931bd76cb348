"""Which keys of a table would make values readable that could not be read."""

import itertools
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from config import Config
from pipeline.ingest.columns import Plan
from pipeline.ingest.time_units import is_plausible, suggested_unit

_DAYS: Final = (
    *("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d"),
    *("%b %d %Y", "%b %d, %Y", "%d %b %Y", "%d-%b-%Y", "%B %d, %Y", "%d %B %Y", "%m %d, %Y"),
    *("%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%d-%b-%y"),
)
_HOURS: Final = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", " %H:%M:%S.%f", "T%H:%M:%S", ", %H:%M:%S")
_FORMATS: Final = (
    *("%a, %d %b %Y %H:%M:%S %z", "%a, %d %b %Y %H:%M:%S %Z", "%a %b %d %H:%M:%S %z %Y", "%a %b %d %H:%M:%S %Y"),
    *("%d/%b/%Y:%H:%M:%S %z", "%Y-%m-%d %H:%M:%S %Z", "%Y%m%d%H%M%S", "%Y%m%d%H%M"),
    *map("".join, itertools.product(_DAYS, _HOURS)),
)
"""As mails, web servers and spreadsheets write times."""
_WITH_COMMA: Final = re.compile(r"[-+]?\d+,\d+")
_THOUSANDS: Final = re.compile(r"[-+]?\d{1,3}(,\d{3})+")


def remedies(samples: Iterable[Mapping[str, Any]], config: Config, table: str) -> Iterator[str]:
    """`'1600811170000': `time_unit: ms`?` and the like, a line for each column that a key would make readable.

    Args:
      samples: Bad rows as a report shows them, of one table.
      config: The configuration.
      table: "interactions", "items" or "users".
    """
    times = _times(config, table)
    values: dict[str, list[str]] = {}
    for sample in samples:
        if sample["reason"] == f"unparsable {sample['column']}":
            values.setdefault(sample["column"], []).append(sample["value"])
    for column, written in values.items():
        key = _of_times(written, times[column]) if column in times else _of_numbers(written, config, table)
        if key:
            yield f"{written[0]!r}: {key}?"


def suggested_formats(values: Sequence[str], known: str) -> list[str]:
    """Formats of strptime other than the known one that read all of the values as times between 1990 and tomorrow; at
    most two, as of day and month, or none."""
    now = time.time()
    fitting = (form for form in _FORMATS if form != known and all(_reads(form, value, now) for value in values))
    return list(itertools.islice(fitting, 2))


def _reads(form: str, value: str, now: float) -> bool:
    try:
        read = datetime.strptime(value.strip(), form)
    except ValueError:
        return False
    return is_plausible(read.replace(tzinfo=read.tzinfo or UTC).timestamp(), now)


def _times(config: Config, table: str) -> dict[str, str]:
    """How the times of each column of times are written."""
    plan, log = Plan(config), config.data.interactions
    columns = {"interactions": plan.event + plan.user_from_events, "items": plan.item, "users": plan.user}[table]
    found = {column.source: column.times for column in columns if column.kind == "time"}
    return found | ({log.time: log.times} if table == "interactions" and log.time else {})


def _of_times(values: Sequence[str], times: str) -> str:
    if unit := suggested_unit(values, times):
        return f"`time_unit: {unit}`"
    return " or ".join(f'`time_format: "{form}"`' for form in suggested_formats(values, times))


def _of_numbers(values: Sequence[str], config: Config, table: str) -> str:
    has_commas = all(_WITH_COMMA.fullmatch(value.strip()) for value in values)
    if getattr(config.data, table).decimal == "," or not has_commas:
        return ""
    return "" if all(_THOUSANDS.fullmatch(value.strip()) for value in values) else '`decimal: ","`'
