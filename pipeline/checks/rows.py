"""What the rows of the tables say: the first of each table, or all, through ingest's own reader and cleaner.

It makes the report that ingest would make, without windows, and judges it by the same rules. It imports no Beam.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np
import pyarrow as pa

from config import Config
from config.data import EntityTable, Table
from pipeline.checks.column_profiles import Profile, profiles_of
from pipeline.ingest import verdicts
from pipeline.ingest.cleaned import Clean, cleaned
from pipeline.ingest.columns import Column, Plan
from pipeline.ingest.entities import ID, clean_entities
from pipeline.ingest.events import ITEM, USER, clean_events
from pipeline.ingest.findings import Findings, as_report
from pipeline.ingest.overlap import add_overlap
from pipeline.ingest.reading import Batch, read_batches
from pipeline.ingest.tables import table_files
from pipeline.ingest.verdicts import Report, file_name

FIRST_ROWS: Final = 1000
MAX_IDS: Final = 1_000_000
"""So many rows of the items or users table are looked through for the ids of the log's first rows."""
_HOPELESS: Final = 0.5
"""A share of bad rows among the first that no later ones make good."""


@dataclass
class RowCheck:
    """What the rows say.

    Attributes:
      report: As `ingest.json`, without windows and splits; duplicates are not looked for.
      profiles: What each configured column of a table holds.
      whole: The tables that were read to their end.
      errors: What would stop ingest, a message each.
      warnings: What a person should look at.
    """

    report: dict[str, Any]
    profiles: dict[str, list[Profile]]
    whole: set[str]
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def check_rows(config: Config, limit: int | None = FIRST_ROWS) -> RowCheck:
    """Reads rows and judges them.

    Args:
      config: A configuration whose tables have all its columns.
      limit: The number of rows of each table; None: all.

    Raises:
      TableError: If a table cannot be read.
    """
    reader = _Reader(config, limit)
    reader.everything()
    report = as_report(reader.findings, reader.files)
    check = RowCheck(report, reader.profiles, reader.whole)
    _judge(check, config, reader)
    return check


class _Reader:
    """One pass over the tables."""

    def __init__(self, config: Config, limit: int | None) -> None:
        self.findings, self.profiles, self.files = Findings(), dict[str, list[Profile]](), dict[str, list[str]]()
        self.whole: set[str] = set()
        self.known_whole: set[str] = set()
        self.plan = Plan(config)
        self._limit = limit
        self._logged: dict[str, Counter[str]] = {"items": Counter(), "users": Counter()}

    def everything(self) -> None:
        """Reads the log, then the tables of its items and users."""
        data = self.plan.config.data
        self._read("interactions", data.interactions, self.plan.event_sources, partial(clean_events, self.plan))
        if data.items is not None:
            self._entities("items", data.items, self.plan.item)
        if data.users is not None:
            self._entities("users", data.users, self.plan.user)

    def _entities(self, name: str, table: EntityTable, columns: tuple[Column, ...]) -> None:
        sources = self.plan.entity_sources(table, columns)
        self._read(name, table, sources, partial(clean_entities, columns, table.id, name))
        known: list[pa.Array] = []
        clean = partial(clean_entities, (), table.id, name)
        limit = None if self._limit is None else MAX_IDS
        rows = 0
        for file, path, batch, first in self._batches(name, table, [table.id]):
            known.append(cleaned(clean, path, batch, file, first)[0][ID].combine_chunks())
            rows += len(batch.rows)
            if limit is not None and rows >= limit:
                break
        else:
            self.known_whole.add(name)
        logged = self._logged[name]
        ids = pa.array(list(logged), pa.string())
        events = np.fromiter(logged.values(), np.int64, len(logged))
        add_overlap(self.findings, name, ids, events, pa.concat_arrays(known) if known else pa.array([], pa.string()))

    def _read(self, name: str, table: Table, columns: tuple[str, ...], clean: Clean) -> None:
        profiles = profiles_of(self.plan, name)
        self.profiles[name] = profiles
        self.files[name] = table_files(self.plan.config.data.folder, table)
        left = self._limit
        for file, path, batch, first in self._batches(name, table, list(columns)):
            taken = batch if left is None else head(batch, left)
            rows, findings = cleaned(clean, path, taken, file, first)
            self.findings.add(findings)
            self.findings.counts[name, "kept"] += len(rows)
            for profile in profiles:
                profile.add(taken.rows[profile.column])
            if name == "interactions":
                self._log_ids(rows)
            if left is not None:
                left -= len(taken.rows)
                if len(taken.rows) < len(batch.rows) or left == 0:
                    return
        self.whole.add(name)

    def _batches(self, name: str, table: Table, columns: list[str]) -> Iterator[tuple[int, str, Batch, int]]:
        """The index of the file, its path, a batch and the place of its first row, file after file."""
        for file, path in enumerate(self.files[name]):
            first = 0
            for batch in read_batches(path, table, columns):
                yield file, path, batch, first
                first += len(batch.rows)

    def _log_ids(self, rows: pa.Table) -> None:
        for name, key in (("items", ITEM), ("users", USER)):
            if getattr(self.plan.config.data, name) is not None:
                counted = rows[key].value_counts()
                pairs = zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
                self._logged[name].update(dict(pairs))


def head(batch: Batch, size: int) -> Batch:
    """The first rows of a batch, and what of the malformed lines stands among them."""
    if len(batch.rows) <= size:
        return batch
    first = pa.array(np.arange(size))
    rows, written = batch.rows.take(first), None if batch.written is None else batch.written.take(first)
    if batch.lines is None:
        return Batch(rows, len(batch.samples), None, batch.samples, written)
    lines = batch.lines[:size]
    samples = tuple(sample for sample in batch.samples if sample.line is None or sample.line < lines[-1])
    return Batch(rows, len(samples), lines, samples, written)


def _judge(check: RowCheck, config: Config, reader: _Reader) -> None:
    """Sorts what ingest's rules say into errors and warnings: what later rows can still mend is a warning."""
    report = check.report
    check.errors += verdicts.no_rows(report, config)
    for name in verdicts.TABLES:
        counts = report.get(name, {})
        only = {name: counts, "samples": report.get("samples", ())}
        is_sure = name in check.whole or counts.get("bad_rows", 0) > _HOPELESS * counts.get("rows", 0)
        _sort(check, verdicts.bad_rows(only, config), is_sure, "")
    first = "" if "interactions" in check.whole else _first(config, report, "interactions")
    _sort(check, verdicts.no_positive(report, config), "interactions" in check.whole, first)
    for name, overlap in report.get("overlap", {}).items() if not check.errors else ():
        found = verdicts.no_overlap({"overlap": {name: overlap}}, config)
        _sort(check, found, name in reader.known_whole, first)
    check.warnings += [first + text for text in verdicts.warnings(report, config, reader.plan.now)]
    for name, profiles in check.profiles.items():
        where = "" if name in check.whole else _first(config, report, name)
        for profile in profiles:
            check.warnings += [f"{where}{profile.column} of {file_name(config, name)} {r}" for r in profile.remarks()]


def _sort(check: RowCheck, found: Iterator[str], is_sure: bool, where: str) -> None:
    if is_sure:
        check.errors += found
    else:
        check.warnings += [where + text for text in found]


def _first(config: Config, report: Report, name: str) -> str:
    return f"in the first {report[name]['rows']:,} rows of {file_name(config, name)}: "
