"""The report of ingest, `ingest.json`: whether the data can be used, and its lines for a log and a terminal."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from config import Config, feature_names
from pipeline.ingest.findings import ERRORS
from pipeline.ingest.verdicts import bad_rows, meeting, no_overlap, no_positive, no_rows, sample_lines

FILE: Final = "ingest.json"
"""In the folder of the Examples artifact."""
_LOSSES: Final = ("dropped", "unparsable", "clipped")


class IngestError(Exception):
    """The data cannot be used. The message says what was found and what to change."""


def check(report: Mapping[str, Any], config: Config) -> None:
    """Raises `IngestError` where a reader failed, too many rows were bad, nothing meets or holds, or a split is empty.

    Args:
      report: As `findings.as_report` made it.
      config: The configuration.
    """
    if errors := report.get(ERRORS):
        raise IngestError("\n".join(errors))
    for problem in (no_rows, bad_rows, no_positive, no_overlap, _empty_splits):
        if found := list(problem(report, config)):
            raise IngestError("\n".join(found))


def lines(report: Mapping[str, Any]) -> Iterator[str]:
    """The report for a log, one line for each table and split."""
    for section in ("interactions", "users", "items"):
        if section in report:
            yield f"{section}: {_line(report[section])}"
    for split, counts in report.get("splits", {}).items():
        yield f"split {split}: {_line(counts)}"


def summary(report: Mapping[str, Any]) -> str:
    """The report in one line: rows and why some are left out, windows, items, and how far the tables meet."""
    splits = report["splits"]
    windows = ", ".join(
        f"{split} {splits[split]['examples']:,}" for split in feature_names.WINDOW_SPLITS if split in splits
    )
    parts = [_rows("rows", report["interactions"], report["interactions"]["kept"]), f"windows: {windows}"]
    parts.append(_rows("items", report.get("items", {}), splits[feature_names.ITEMS_SPLIT]["examples"]))
    if report.get("users", {}).keys() & _LOSSES:
        parts.append(_rows("users", report["users"], report["users"].get("kept", 0)))
    return "; ".join(part for part in (*parts, meeting(report)) if part)


def _rows(noun: str, counts: Mapping[str, Any], kept: int) -> str:
    """`310 of 315 rows (dropped: duplicate 3, missing user_id 2; clipped: rating 7)`."""
    reasons = "; ".join(
        f"{what}: {', '.join(f'{reason} {number:,}' for reason, number in counts[what].items())}"
        for what in _LOSSES
        if counts.get(what)
    )
    total = f" of {counts['rows']:,}" if counts.get("dropped") or noun == "rows" else ""
    return f"{kept:,}{total} {noun}" + (f" ({reasons})" if reasons else "")


def _empty_splits(report: Mapping[str, Any], config: Config) -> Iterator[str]:
    found, splits = report.get("interactions", {}), report.get("splits", {})
    for split in (*feature_names.WINDOW_SPLITS, feature_names.ITEMS_SPLIT):
        if not splits.get(split, {}).get("examples"):
            message = (
                f"the split `{split}` is empty with `split.method` {config.split.method}; {found.get('kept', 0)} of "
                f"{found.get('rows', 0)} rows were kept ({_line(found)}). Use more data, another method or other shares"
            )
            yield "\n".join([message, *sample_lines(report, config, "interactions")])
            return


def _line(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {number}" for name, number in _leaves(counts))


def _leaves(counts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in counts.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", value
