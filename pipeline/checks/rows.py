"""Checks the rows of the tables, the first of each or all, through ingest's own reader and cleaner.

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
from config.table_bytes import limit_problem, model_tables
from config.table_sizes import Sizes
from pipeline.checks.column_profiles import Profile, profiles_of
from pipeline.checks.table_sizes import SizeCounts, estimated_rows, extrapolated
from pipeline.ingest import verdicts
from pipeline.ingest.batches import Batch
from pipeline.ingest.cleaning import ID, Clean, clean_batch, clean_entities
from pipeline.ingest.columns import Column, Plan
from pipeline.ingest.events import ITEM, USER, clean_events
from pipeline.ingest.findings import Findings
from pipeline.ingest.reading import read_batches
from pipeline.ingest.report import TABLES, as_report, file_name, of_spans
from pipeline.ingest.spans import SpanFiles
from pipeline.ingest.tables import table_source

FIRST_ROWS: Final = 1000
MAX_IDS: Final = 1_000_000
"""The number of rows of the items or users table that are searched for the ids of the log's first rows."""
_HOPELESS: Final = 0.5
"""A share of bad rows among the first that makes an error whatever the later ones hold."""


@dataclass
class RowCheck:
    """The result of a check.

    Attributes:
      report: As `ingest.json`, without windows and splits; duplicates are not counted.
      profiles: The profiles of each table's configured columns.
      whole: The tables that were read to their end.
      errors: What would stop ingest, a message each.
      warnings: What to look at, a message each.
      sizes: What the model's tables grow with; None where no row could be used.
    """

    report: dict[str, Any]
    profiles: dict[str, list[Profile]]
    whole: set[str]
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    sizes: Sizes | None = None

    @property
    def is_exact(self) -> bool:
        """Whether every table was read to its end; else `sizes` are extrapolated."""
        return self.whole == set(self.profiles)


def check_rows(config: Config, limit: int | None = FIRST_ROWS) -> RowCheck:
    """Reads rows and checks them by ingest's rules. What later rows can still change is a warning, not an error.

    Args:
      config: A configuration whose tables have all its columns.
      limit: The number of rows of each table; None: all.

    Raises:
      TableError: If a table cannot be read.
    """
    reader = _Reader(config, limit)
    reader.read_tables()
    report, whole = as_report(reader.findings, reader.files) | of_spans(reader.spans), reader.whole
    check = RowCheck(report, reader.profiles, whole)

    def add(found: Iterator[str], is_sure: bool, where: str = "") -> None:
        if is_sure:
            check.errors += found
        else:
            check.warnings += [where + text for text in found]

    def among(name: str) -> str:
        return "" if name in whole else f"in the first {report[name]['rows']:,} rows of {file_name(config, name)}: "

    check.errors += verdicts.no_rows(report, config)
    for name in TABLES:
        counts = report.get(name, {})
        is_sure = name in whole or counts.get("bad_rows", 0) > _HOPELESS * counts.get("rows", 0)
        add(verdicts.bad_rows({name: counts, "samples": report.get("samples", ())}, config), is_sure)
    first = among("interactions")
    add(verdicts.no_positive(report, config), "interactions" in whole, first)
    for name, overlap in report.get("overlap", {}).items() if not check.errors else ():
        add(verdicts.no_overlap({"overlap": {name: overlap}}, config), name in reader.whole_ids, first)
    check.warnings += [first + text for text in verdicts.warnings(report, config, reader.plan.now)]
    for name, profiles in check.profiles.items():
        for profile in profiles:
            column = f"{among(name)}{profile.column} of {file_name(config, name)}"
            check.warnings += [f"{column} {remark}" for remark in profile.remarks()]
    if report.get("interactions", {}).get("kept"):
        check.sizes = reader.sizes()
        if problem := limit_problem(config, model_tables(config, check.sizes)):
            (check.errors if check.is_exact else check.warnings).append(
                f"`training.memory_limit`: {'' if check.is_exact else 'by an estimate, '}{problem}"
            )
    return check


class _Reader:
    """Reads the tables once.

    Attributes:
      whole: The tables that were read to their end.
      whole_ids: The tables of items and users all of whose ids were read.
    """

    def __init__(self, config: Config, limit: int | None) -> None:
        self.plan, self._limit = Plan(config), limit
        self.findings = Findings()
        self.profiles: dict[str, list[Profile]] = {}
        self.files: dict[str, list[str]] = {}
        self.spans: dict[str, SpanFiles | None] = {}
        self.whole: set[str] = set()
        self.whole_ids: set[str] = set()
        self._sizes = SizeCounts(config)
        self._logged: dict[str, Counter[str]] = {"items": Counter(), "users": Counter()}

    def read_tables(self) -> None:
        """Reads the log, then the tables of its items and users."""
        data = self.plan.config.data
        self._read("interactions", data.interactions, self.plan.event_sources, partial(clean_events, self.plan))
        if data.items is not None:
            self._read_entities("items", data.items, self.plan.item)
        if data.users is not None:
            self._read_entities("users", data.users, self.plan.user)

    def sizes(self) -> Sizes:
        """Returns what the model's tables grow with: counted where all rows were read, else extrapolated."""
        sizes, counts = self._sizes.sizes(), self.findings.counts
        if self.whole == set(self.files):
            return sizes
        read = {name: counts[name, "rows"] for name in self.files}
        there = {name: sum(estimated_rows(file) or 0 for file in files) for name, files in self.files.items()}
        return extrapolated(sizes, self.plan.config, read, there)

    def _read(self, name: str, table: Table, columns: tuple[str, ...], clean: Clean) -> None:
        profiles = self.profiles[name] = profiles_of(self.plan, name)
        data = self.plan.config.data
        self.files[name], self.spans[name] = table_source(data.folder, table, data.span)
        left = self._limit
        for file, path, batch, first in self._batches(name, table, list(columns)):
            taken = batch if left is None else head(batch, left)
            rows, findings = clean_batch(clean, path, taken, file, first)
            self.findings.add(findings)
            self.findings.counts[name, "kept"] += len(rows)
            self._sizes.add(name, rows)
            for profile in profiles:
                profile.add(taken.rows[profile.column])
            if name == "interactions":
                self._count_ids(rows)
            if left is not None:
                left -= len(taken.rows)
                if len(taken.rows) < len(batch.rows) or left == 0:
                    return
        self.whole.add(name)

    def _read_entities(self, name: str, table: EntityTable, columns: tuple[Column, ...]) -> None:
        sources = self.plan.entity_sources(table, columns)
        self._read(name, table, sources, partial(clean_entities, columns, table.id, name))
        clean, known, rows = partial(clean_entities, (), table.id, name), [pa.array([], pa.string())], 0
        for file, path, batch, first in self._batches(name, table, [table.id]):
            known.append(clean_batch(clean, path, batch, file, first)[0][ID].combine_chunks())
            rows += len(batch.rows)
            if self._limit is not None and rows >= MAX_IDS:
                break
        else:
            self.whole_ids.add(name)
        logged = self._logged[name]
        events = np.fromiter(logged.values(), np.int64, len(logged))
        self.findings.add_overlap(name, pa.array(list(logged), pa.string()), events, pa.concat_arrays(known))

    def _batches(self, name: str, table: Table, columns: list[str]) -> Iterator[tuple[int, str, Batch, int]]:
        """Returns the index of the file, its path, a batch and the index of its first row, file after file."""
        for file, path in enumerate(self.files[name]):
            first = 0
            for batch in read_batches(path, table, columns):
                yield file, path, batch, first
                first += len(batch.rows)

    def _count_ids(self, rows: pa.Table) -> None:
        for name, key in (("items", ITEM), ("users", USER)):
            if getattr(self.plan.config.data, name) is not None:
                counted = rows[key].value_counts()
                pairs = zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
                self._logged[name].update(dict(pairs))


def head(batch: Batch, size: int) -> Batch:
    """Returns the first rows of a batch, and the malformed lines among them."""
    if len(batch.rows) <= size:
        return batch
    first = pa.array(np.arange(size))  # not a slice, which keeps all bytes
    rows, written = batch.rows.take(first), None if batch.written is None else batch.written.take(first)
    if batch.lines is None:
        return Batch(rows, len(batch.samples), None, batch.samples, written)
    lines = batch.lines[:size]
    samples = tuple(sample for sample in batch.samples if sample.line is None or sample.line < lines[-1])
    return Batch(rows, len(samples), lines, samples, written)
