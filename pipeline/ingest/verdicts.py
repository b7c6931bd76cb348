"""What a report of ingest says of the data: what makes it useless, and what a person should look at."""

import posixpath
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from config import Config
from config.expressions import Expression
from pipeline.ingest.remedies import remedies
from pipeline.ingest.samples import as_date
from pipeline.ingest.time_units import EARLIEST, unit_of_span

TABLES: Final = ("interactions", "items", "users")
Report = Mapping[str, Any]


def no_rows(report: Report, config: Config) -> Iterator[str]:
    """The tables that have no rows."""
    for name in TABLES:
        if getattr(config.data, name) is not None and not report.get(name, {}).get("rows"):
            yield f"{file_name(config, name)} has no rows (the table `{name}`)"


def bad_rows(report: Report, config: Config) -> Iterator[str]:
    """The tables with too many bad rows, each with the first of every reason."""
    limit = config.cleaning.max_bad_share
    for name in TABLES:
        rows, bad = report.get(name, {}).get("rows", 0), report.get(name, {}).get("bad_rows", 0)
        if bad > limit * rows:
            yield "\n".join(
                [
                    f"{bad} of {rows} rows of the table `{name}` are bad ({bad / rows:.1%}), more than "
                    f"`cleaning.max_bad_share` allows ({limit:.1%}): {reasons(report[name])}",
                    *sample_lines(report, config, name),
                ]
            )


def reasons(counts: Report) -> str:
    """`unparsable t: 5, missing user_id: 2`."""
    found = [
        *counts.get("dropped", {}).items(),
        *((f"unparsable {c}", n) for c, n in counts.get("unparsable", {}).items()),
    ]
    return ", ".join(f"{reason}: {number}" for reason, number in found)


def sample_lines(report: Report, config: Config, table: str) -> Iterator[str]:
    """The bad rows of a table that are shown, and which keys would make them readable."""
    samples = [sample for sample in report.get("samples", ()) if sample["table"] == table]
    yield from (f"  {describe(sample)}" for sample in samples)
    yield from (f"  {remedy}" for remedy in remedies(samples, config, table))


def describe(sample: Report) -> str:
    """`log.csv, line 2: t is 'soon', expected a number`; of a malformed row `log.csv, line 2 has 4 values: ...`."""
    position = f"line {sample['line']}" if "line" in sample else f"row {sample['row']}"
    where = f"{posixpath.basename(sample['file'])}, {position}"
    if not sample["column"]:
        return f"{where} {sample['expected']}: {sample['value']!r}"
    return f"{where}: {sample['column']} is {sample['value']!r}, expected {sample['expected']}"


def no_positive(report: Report, config: Config) -> Iterator[str]:
    """Where no event is a positive: nothing is left to learn or to recommend by."""
    found = report.get("expressions", {}).get("positive")
    if found and found["of"] and not found["holds"]:
        yield f"`positive` ({config.positive}) holds for 0 of {found['of']:,} events{_values(report, 'positive')}"


def no_overlap(report: Report, config: Config) -> Iterator[str]:
    """The tables of which no id is in the log."""
    for name, overlap in report.get("overlap", {}).items():
        if config.cleaning.min_overlap and overlap["of"] and not overlap["met"]:
            yield (
                f"0 of {overlap['of']:,} {name} of the log are in {file_name(config, name)} (log: "
                f"{_written(overlap.get('log', ''))}, table: {_written(overlap.get('table', ''))}). Are ids written in "
                f"the same way, and is {getattr(config.data, name).id!r} their column?"
            )


def _written(text: str) -> str:
    """An id in quotes; by its code points where it looks like another one, as a letter and its accent do."""
    return repr(text) if unicodedata.is_normalized("NFC", text) else ascii(text)


def meeting(report: Report) -> str:
    """`of the log in its tables: 28 of 30 items, 40 of 40 users`; empty where the log is alone."""
    met = [f"{found['met']:,} of {found['of']:,} {name}" for name, found in report.get("overlap", {}).items()]
    return f"of the log in its tables: {', '.join(met)}" if met else ""


def warnings(report: Report, config: Config, now: float) -> list[str]:
    """What a person should look at though the data can be used: a sentence each.

    Args:
      report: As `findings.as_report` made it.
      config: The configuration.
      now: Seconds since 1970.
    """
    return [
        *_low_overlap(report, config),
        *_implausible_times(report, config, now),
        *_constant_expressions(report, config),
    ]


def _low_overlap(report: Report, config: Config) -> Iterator[str]:
    for name, overlap in report.get("overlap", {}).items():
        share = overlap["met_events"] / max(overlap["of_events"], 1)
        if overlap["met"] and share < config.cleaning.min_overlap:  # where none meets the run stops
            yield (
                f"{overlap['met']:,} of {overlap['of']:,} {name} of the log ({share:.1%} of the events) are in "
                f"{file_name(config, name)}; {_written(overlap['log'])} is not. `cleaning.min_overlap` expects "
                f"{config.cleaning.min_overlap:.0%} of the events"
            )


def _implausible_times(report: Report, config: Config, now: float) -> Iterator[str]:
    log, spans = config.data.interactions, report.get("spans", {})
    span = spans.get("interactions", {}).get(log.time)
    if span is not None:
        first, last = span
        runs = f"the log's times ({log.time}) run from {as_date(first)} to {as_date(last)}"
        if last < EARLIEST:
            yield f"{runs}, {_length(last - first)}: {_other_unit(first, last, log.times, log.time or '', now)}"
        elif first < EARLIEST:
            yield f"{runs}, and no log is older than 1980: are some rows of another unit, or without a time?"
        elif last > now + 86_400:
            yield f"{runs}, which is in the future"
        elif first == last and report.get("interactions", {}).get("kept", 0) > 1:
            yield f"all events have the same time ({log.time}): {as_date(first)}"
    for table, columns in spans.items():
        for column, (first, last) in columns.items():
            times = getattr(config.data, table).times or log.times
            other = unit_of_span(first, last, times, now)
            if (table, column) != ("interactions", log.time) and 0 <= first < last < EARLIEST and other:
                where = f"the times of {column} in {file_name(config, table)}"
                yield (
                    f"{where} run from {as_date(first)} to {as_date(last)}: "
                    f"{_other_unit(first, last, times, column, now)}"
                )


def _other_unit(first: float, last: float, unit: str, column: str, now: float) -> str:
    other = unit_of_span(first, last, unit, now)
    if other is None:
        return f"no unit makes them dates between 1990 and today: is {column!r} the column of times?"
    return f"`time_unit: {other.unit}` would be {as_date(other.first)} to {as_date(other.last)}"


def _length(seconds: float) -> str:
    if seconds < 7200:
        return f"{seconds / 60:.0f} minutes"
    return f"{timedelta(seconds=seconds).days} days" if seconds >= 2 * 86_400 else f"{seconds / 3600:.0f} hours"


def _constant_expressions(report: Report, config: Config) -> Iterator[str]:
    has_events = bool(report.get("interactions", {}).get("kept"))
    for key, found in report.get("expressions", {}).items() if has_events else ():
        expression = _expression(config, key)
        if not expression.columns or (key == "positive" and not found["holds"]):  # the latter stops the run
            continue
        holds, rows, told = found["holds"], found["of"], f"`{key}` ({expression.text})"
        ends = report.get("labels", {}).get(key)
        if key.endswith(".label") and not rows:
            yield f"{told} has a value in no event{_values(report, key)}"
        elif key.endswith(".label") and ends and ends[0] == ends[1]:
            if ends[0] in (0, 1):
                yield f"{told} is {ends[0]:g} in all {rows:,} events that have one{_values(report, key)}"
            else:
                yield f"{told} is {ends[0]:g} in all {rows:,} events that have one"
        elif not key.endswith(".label") and holds in (0, rows) and rows:
            yield f"{told} holds for {'all' if holds else '0 of'} {rows:,} events{_values(report, key)}"


def _expression(config: Config, key: str) -> Expression:
    if key == "positive":
        return Expression.parse(config.positive or "1")
    _, task, name = key.split(".")
    return Expression.parse(getattr(config.events[task], name))


def _values(report: Report, key: str) -> str:
    """`; event holds 'view' (80), 'buy' (3)`."""
    columns = report.get("values", {}).get(key, {})
    return "".join(
        f"; {column} holds "
        + ", ".join(
            f"{value!r} ({number:,})" if value else f"nothing ({number:,})"
            for value, number in sorted(values.items(), key=lambda entry: -entry[1])
        )
        for column, values in columns.items()
    )


def file_name(config: Config, table: str) -> str:
    """The last part of a table's path."""
    return posixpath.basename(getattr(config.data, table).path.rstrip("/"))
