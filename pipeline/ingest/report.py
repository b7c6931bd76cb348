"""What ingest counted: numbers by path, such as ("interactions", "dropped", "duplicate"), and what stopped a reader."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import apache_beam as beam

from pipeline import layout
from pipeline.config import Config

Counts = Counter[tuple[str, ...]]

FILE: Final = "ingest.json"
"""In the folder of the Examples artifact."""
METRICS_NAMESPACE: Final = "pipeline.ingest"
ERRORS: Final = "errors"


class IngestError(Exception):
    """The data cannot be used. The message says what was found and what to change."""


def merge(counts: Iterable[Counts]) -> Counts:
    """The sum; a Beam combiner."""
    total: Counts = Counter()
    for part in counts:
        total.update(part)
    return total


def count_in_beam(counts: Counts) -> None:
    """Adds to Beam's counters: `interactions.dropped.duplicate` and the like. Only inside a DoFn."""
    for path, number in counts.items():
        if path[0] != ERRORS:
            beam.metrics.Metrics.counter(METRICS_NAMESPACE, ".".join(path)).inc(number)


def as_json(counts: Counts) -> str:
    """The counts as nested objects, keys sorted."""
    nested: dict[str, Any] = {}
    for path, number in counts.items():
        place = nested
        for part in path[:-1]:
            place = place.setdefault(part, {})
        place[path[-1]] = number
    return json.dumps(nested, indent=2, sort_keys=True) + "\n"


def check(report: Mapping[str, Any], config: Config) -> None:
    """Raises `IngestError` where a reader failed, too many rows were bad, or a split is empty."""
    if errors := report.get(ERRORS):
        raise IngestError("\n".join(errors))
    for table in ("interactions", "items", "users"):
        _check_bad_share(table, report.get(table, {}), config.cleaning.max_bad_share)
    splits = report.get("splits", {})
    for split in (*layout.WINDOW_SPLITS, layout.ITEMS_SPLIT):
        if not splits.get(split, {}).get("examples"):
            raise IngestError(_empty_split(split, report, config))


def lines(report: Mapping[str, Any]) -> Iterator[str]:
    """The report for a log, one line for each table and split."""
    for section in ("interactions", "users", "items"):
        if section in report:
            yield f"{section}: {_line(report[section])}"
    for split, counts in report.get("splits", {}).items():
        yield f"split {split}: {_line(counts)}"


def _check_bad_share(table: str, counts: Mapping[str, Any], limit: float) -> None:
    rows, bad = counts.get("rows", 0), counts.get("bad_rows", 0)
    if bad > limit * rows:
        raise IngestError(
            f"{bad} of {rows} rows of the table `{table}` are bad ({bad / rows:.1%}), more than "
            f"`cleaning.max_bad_share` allows ({limit:.1%}): {_line(counts)}"
        )


def _empty_split(split: str, report: Mapping[str, Any], config: Config) -> str:
    found = report.get("interactions", {})
    return (
        f"the split `{split}` is empty with `split.method` {config.split.method}; {found.get('kept', 0)} of "
        f"{found.get('rows', 0)} rows were kept ({_line(found)}). Use more data, another method or other shares"
    )


def _line(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {number}" for name, number in _leaves(counts))


def _leaves(counts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in counts.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", value
