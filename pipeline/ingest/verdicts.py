"""Checks a report of ingest: errors where the data cannot be used, and warnings."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Final

from config import Config, feature_names
from config.expressions import Expression
from pipeline.ingest.columns import Plan
from pipeline.ingest.findings import ERRORS
from pipeline.ingest.report import TABLES, Report, counts_line, describe, file_name, reasons, spans_line
from pipeline.ingest.spans import listed
from pipeline.ingest.times import EARLIEST, as_date, suggested_formats, suggested_unit, unit_of_span

_WITH_COMMA: Final = re.compile(r"[-+]?\d+,\d+")
_THOUSANDS: Final = re.compile(r"[-+]?\d{1,3}(,\d{3})+")


class IngestError(Exception):
    """The data cannot be used. The message says what was found and what to change."""


def check(report: Report, config: Config) -> None:
    """Raises `IngestError` where a file could not be read or the data cannot be used.

    Args:
      report: As `report.as_report` returns it.
      config: The configuration.
    """
    if errors := report.get(ERRORS):
        raise IngestError("\n".join(errors))
    for problem in (no_rows, bad_rows, no_positive, no_overlap, empty_split):
        if found := list(problem(report, config)):
            raise IngestError("\n".join(found))


def no_rows(report: Report, config: Config) -> Iterator[str]:
    """Returns a message for each table without rows."""
    for name in TABLES:
        if getattr(config.data, name) is not None and not report.get(name, {}).get("rows"):
            yield f"{file_name(config, name)} has no rows (the table `{name}`)"


def bad_rows(report: Report, config: Config) -> Iterator[str]:
    """Returns a message for each table with too many bad rows, with the first of every reason."""
    limit = config.cleaning.max_bad_share
    for name in TABLES:
        rows, bad = report.get(name, {}).get("rows", 0), report.get(name, {}).get("bad_rows", 0)
        if bad > limit * rows:
            message = (
                f"{bad} of {rows} rows of the table `{name}` are bad ({bad / rows:.1%}), more than "
                f"`cleaning.max_bad_share` allows ({limit:.1%}): {reasons(report[name])}"
            )
            yield "\n".join([message, *_sample_lines(report, config, name)])


def empty_split(report: Report, config: Config) -> Iterator[str]:
    """Returns a message for the first split without examples."""
    found, splits = report.get("interactions", {}), report.get("splits", {})
    for split in (*feature_names.WINDOW_SPLITS, feature_names.ITEMS_SPLIT):
        if not splits.get(split, {}).get("examples"):
            message = (
                f"the split `{split}` is empty with `split.method` {config.split.method}; {found.get('kept', 0)} of "
                f"{found.get('rows', 0)} rows were kept ({counts_line(found)}). Use more data, another method or other "
                "shares"
            )
            yield "\n".join([message, *_sample_lines(report, config, "interactions")])
            return


def _sample_lines(report: Report, config: Config, table: str) -> Iterator[str]:
    """Returns the first bad rows of a table, and the keys of the configuration that would make them readable."""
    samples = [sample for sample in report.get("samples", ()) if sample["table"] == table]
    yield from (f"  {describe(sample)}" for sample in samples)
    yield from (f"  {remedy}" for remedy in _remedies(samples, config, table))


def _remedies(samples: Iterable[Report], config: Config, table: str) -> Iterator[str]:
    """Returns `'1600811170000': `time_unit: ms`?` and the like for each column that a key would make readable.

    Args:
      samples: Bad rows of one table, as a report shows them.
      config: The configuration.
      table: "interactions", "items" or "users".
    """
    plan, log = Plan(config), config.data.interactions
    columns = {"interactions": plan.event + plan.user_from_events, "items": plan.item, "users": plan.user}[table]
    times = {column.source: column.times for column in columns if column.kind == "time"}
    times |= {log.time: log.times} if table == "interactions" and log.time else {}
    unread: dict[str, list[str]] = {}
    for sample in samples:
        if sample["reason"] == f"unparsable {sample['column']}":
            unread.setdefault(sample["column"], []).append(sample["value"])
    for column, values in unread.items():
        key = ""
        if column not in times:
            numbers = [value.strip() for value in values]
            has_commas = all(_WITH_COMMA.fullmatch(number) for number in numbers)
            are_thousands = all(_THOUSANDS.fullmatch(number) for number in numbers)
            if getattr(config.data, table).decimal != "," and has_commas and not are_thousands:
                key = '`decimal: ","`'
        elif unit := suggested_unit(values, times[column]):
            key = f"`time_unit: {unit}`"
        else:
            key = " or ".join(f'`time_format: "{form}"`' for form in suggested_formats(values, times[column]))
        if key:
            yield f"{values[0]!r}: {key}?"


def no_positive(report: Report, config: Config) -> Iterator[str]:
    """Returns a message where no event is a positive, so that there is nothing to learn from."""
    found = report.get("expressions", {}).get("positive")
    if found and found["of"] and not found["holds"]:
        yield f"`positive` ({config.positive}) holds for 0 of {found['of']:,} events{_values(report, 'positive')}"


def no_overlap(report: Report, config: Config) -> Iterator[str]:
    """Returns a message for each table of which no id is in the log."""
    for name, overlap in report.get("overlap", {}).items():
        if config.cleaning.min_overlap and overlap["of"] and not overlap["met"]:
            yield (
                f"0 of {overlap['of']:,} {name} of the log are in {file_name(config, name)} (log: "
                f"{_written(overlap.get('log', ''))}, table: {_written(overlap.get('table', ''))}). Are ids written in "
                f"the same way, and is {getattr(config.data, name).id!r} their column?"
            )


def _written(text: str) -> str:
    """Returns an id in quotes, with code points where it is not in normal form and looks like another id."""
    return repr(text) if unicodedata.is_normalized("NFC", text) else ascii(text)


def warnings(report: Report, config: Config, now: float) -> list[str]:
    """Returns a sentence for each thing to look at though the data can be used.

    Args:
      report: As `report.as_report` returns it.
      config: The configuration.
      now: Seconds since 1970.
    """
    return [
        *_left_out_spans(report, config),
        *_low_overlap(report, config),
        *_implausible_times(report, config, now),
        *_constant_expressions(report, config),
    ]


def _left_out_spans(report: Report, config: Config) -> Iterator[str]:
    """Yields what a log's spans leave out: older ones where no window says so, and gaps in the window."""
    spans, log = report.get("read_spans", {}).get("interactions"), config.data.interactions
    if spans is None:
        return
    if spans["older"] and log.window is None:
        yield (
            f"{log.path}: span {spans['last']} alone is read. Older ones are not: {listed(spans['older'])}. "
            f"`data.interactions.window: {spans['reach']}` reads them too; `window: 1` says that this is meant"
        )
    if spans["missing"]:
        yield f"{log.path}: {spans_line(report)} are read, without those that are not there: {listed(spans['missing'])}"


def _low_overlap(report: Report, config: Config) -> Iterator[str]:
    for name, overlap in report.get("overlap", {}).items():
        share = overlap["met_events"] / max(overlap["of_events"], 1)
        if overlap["met"] and share < config.cleaning.min_overlap:  # without any overlap the run stops
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
    """Returns a message for each condition that holds always or never, and each label that has one value or none."""
    has_events = bool(report.get("interactions", {}).get("kept"))
    for key, found in report.get("expressions", {}).items() if has_events else ():
        expression = _expression(config, key)
        if not expression.columns or (key == "positive" and not found["holds"]):  # the latter stops the run
            continue
        holds, rows, subject = found["holds"], found["of"], f"`{key}` ({expression.text})"
        ends = report.get("labels", {}).get(key)
        if key.endswith(".label") and not rows:
            yield f"{subject} has a value in no event{_values(report, key)}"
        elif key.endswith(".label") and ends and ends[0] == ends[1]:
            if ends[0] in (0, 1):
                yield f"{subject} is {ends[0]:g} in all {rows:,} events that have one{_values(report, key)}"
            else:
                yield f"{subject} is {ends[0]:g} in all {rows:,} events that have one"
        elif not key.endswith(".label") and holds in (0, rows) and rows:
            yield f"{subject} holds for {'all' if holds else '0 of'} {rows:,} events{_values(report, key)}"


def _expression(config: Config, key: str) -> Expression:
    if key == "positive":
        return Expression.parse(config.positive or "1")
    _, task, name = key.split(".")
    return Expression.parse(getattr(config.events[task], name))


def _values(report: Report, key: str) -> str:
    """Returns `; event holds 'view' (80), 'buy' (3)`."""
    columns = report.get("values", {}).get(key, {})
    return "".join(
        f"; {column} holds "
        + ", ".join(
            f"{value!r} ({number:,})" if value else f"nothing ({number:,})"
            for value, number in sorted(values.items(), key=lambda entry: -entry[1])
        )
        for column, values in columns.items()
    )
