"""The report of ingest, `ingest.json`, and its text for a log, a terminal and a page."""

import json
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from config import Config, feature_names
from pipeline.ingest.findings import VALUES, Findings
from pipeline.ingest.spans import SpanFiles

FILE: Final = "ingest.json"
"""In the folder of the Examples artifact."""
TABLES: Final = ("interactions", "items", "users")
_LOSSES: Final = ("dropped", "unparsable", "clipped")

Report = Mapping[str, Any]


def as_report(findings: Findings, files: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Returns the findings as nested JSON objects.

    Args:
      findings: Of all tables.
      files: The files of each table, in their order.

    Returns:
      The counts by their paths; `samples`, a list of objects; `spans` and `labels`, pairs; `values`; `overlap` with the
      examples. For example, the count of ("items", "dropped", "duplicate") is report["items"]["dropped"]["duplicate"].
    """
    report: dict[str, Any] = {}

    def put(path: Sequence[str], value: Any) -> None:
        section = report
        for part in path[:-1]:
            section = section.setdefault(part, {})
        section[path[-1]] = value

    for path, number in findings.counts.items():
        put(path, number)
    for path, number in findings.expressions.items():
        put(("expressions", *path), number)
    for path, text in findings.examples.items():
        put(path, text)
    for (table, column), span in findings.spans.items():
        put(("labels", column) if table == "label" else ("spans", table, column), list(span))
    for (key, column), values in findings.values.items():
        common = sorted(values.items(), key=lambda entry: (-entry[1], entry[0]))[:VALUES]
        put(("values", key, column), dict(common))
    samples = [
        {
            "table": table,
            "reason": reason,
            "file": files[table][sample.file],
            **({"row": sample.row + 1} if sample.line is None else {"line": sample.line}),
            "column": sample.column,
            "value": sample.value,
            "expected": sample.expected,
        }
        for (table, reason), samples in sorted(findings.samples.items())
        for sample in samples
    ]
    return report | ({"samples": samples} if samples else {})


def of_spans(spans: Mapping[str, SpanFiles | None]) -> dict[str, Any]:
    """Returns the section `read_spans` of a report: by table the first and the last span, and those left out; nothing
    of tables without spans."""
    found = {name: own.as_json() for name, own in spans.items() if own is not None and own.pattern.has_span}
    return {"read_spans": found} if found else {}


def as_json(report: Report) -> str:
    """Returns the report as text, keys sorted."""
    return json.dumps(report, indent=2, sort_keys=True) + "\n"


def lines(report: Report) -> Iterator[str]:
    """Returns the report for a log, one line for each table and split."""
    for section in ("interactions", "users", "items"):
        if section in report:
            yield f"{section}: {counts_line(report[section])}"
    for split, counts in report.get("splits", {}).items():
        yield f"split {split}: {counts_line(counts)}"


def counts_line(counts: Report) -> str:
    """Returns nested counts in one line: `rows: 9, dropped duplicate: 2`."""

    def leaves(counts: Report, prefix: str) -> Iterator[str]:
        for name, value in counts.items():
            if isinstance(value, Mapping):
                yield from leaves(value, f"{prefix}{name} ")
            else:
                yield f"{prefix}{name}: {value}"

    return ", ".join(leaves(counts, ""))


def summary(report: Report) -> str:
    """Returns the report in one line: spans, rows and why some are left out, windows, items, and the overlap of the
    tables."""
    splits = report["splits"]
    windows = ", ".join(
        f"{split} {splits[split]['examples']:,}" for split in feature_names.WINDOW_SPLITS if split in splits
    )
    rows = _kept("rows", report["interactions"], report["interactions"]["kept"])
    parts = [", ".join(filter(None, [spans_line(report), rows])), f"windows: {windows}"]
    parts.append(_kept("items", report.get("items", {}), splits[feature_names.ITEMS_SPLIT]["examples"]))
    if report.get("users", {}).keys() & _LOSSES:
        parts.append(_kept("users", report["users"], report["users"].get("kept", 0)))
    return "; ".join(part for part in (*parts, overlap_line(report)) if part)


def _kept(noun: str, counts: Report, kept: int) -> str:
    """Returns `310 of 315 rows (dropped: duplicate 3, missing user_id 2; clipped: rating 7)`."""
    losses = "; ".join(
        f"{what}: {', '.join(f'{reason} {number:,}' for reason, number in counts[what].items())}"
        for what in _LOSSES
        if counts.get(what)
    )
    total = f" of {counts['rows']:,}" if counts.get("dropped") or noun == "rows" else ""
    return f"{kept:,}{total} {noun}" + (f" ({losses})" if losses else "")


def spans_line(report: Report) -> str:
    """Returns the interactions' spans: `spans 7 to 20`, or `span 20`; empty where the table has none."""
    spans = report.get("read_spans", {}).get("interactions")
    if spans is None:
        return ""
    first, last = spans["first"], spans["last"]
    return f"span {last}" if first == last else f"spans {first} to {last}"


def overlap_line(report: Report) -> str:
    """Returns `of the log in its tables: 28 of 30 items, 40 of 40 users`; empty where there are no other tables."""
    met = [f"{found['met']:,} of {found['of']:,} {name}" for name, found in report.get("overlap", {}).items()]
    return f"of the log in its tables: {', '.join(met)}" if met else ""


def reasons(counts: Report) -> str:
    """Returns why rows of a table are bad: `unparsable t: 5, missing user_id: 2`."""
    found = [
        *counts.get("dropped", {}).items(),
        *((f"unparsable {column}", number) for column, number in counts.get("unparsable", {}).items()),
    ]
    return ", ".join(f"{reason}: {number}" for reason, number in found)


def describe(sample: Report) -> str:
    """Returns `log.csv, line 2: t is 'soon', expected a number`, or of a malformed row `log.csv, line 2 has 4 ...`."""
    position = f"line {sample['line']}" if "line" in sample else f"row {sample['row']}"
    where = f"{posixpath.basename(sample['file'])}, {position}"
    if not sample["column"]:
        return f"{where} {sample['expected']}: {sample['value']!r}"
    return f"{where}: {sample['column']} is {sample['value']!r}, expected {sample['expected']}"


def file_name(config: Config, table: str) -> str:
    """Returns the last part of a table's path."""
    return posixpath.basename(getattr(config.data, table).path.rstrip("/"))
