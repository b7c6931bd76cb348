"""Tables as ingest reads and cleans them, without Beam."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from config import Config
from config.data import Table
from pipeline.ingest.batches import Batch
from pipeline.ingest.cleaning import clean_entities
from pipeline.ingest.columns import Plan
from pipeline.ingest.events import clean_events
from pipeline.ingest.findings import Counts
from pipeline.ingest.headers import file_columns
from pipeline.ingest.reading import read_batches
from pipeline.ingest.tables import table_files
from tests.pipeline.ingest.reference import config_of


def column_names(folder: str, table: Table) -> list[str]:
    """The columns of a table's first file."""
    return file_columns(table_files(folder, table)[0], table)


def batches(folder: Path, table: Table, columns: list[str] | None = None) -> list[Batch]:
    """All batches of all files of a table; all columns where none are named."""
    columns = columns or column_names(str(folder), table)
    return [batch for path in table_files(str(folder), table) for batch in read_batches(path, table, columns)]


def rows(folder: Path, path: str, columns: list[str] | None = None, **options: Any) -> list[tuple[Any, ...]]:
    """The rows of a table."""
    found = batches(folder, Table(path=path, **options), columns)
    return [tuple(row.values()) for batch in found for row in batch.rows.to_pylist()]


def config(folder: Path, interactions: dict[str, Any], items: dict[str, Any] | None = None, **sections: Any) -> Config:
    """A configuration of tables in a folder."""
    data = {"folder": str(folder), "interactions": {"path": "log.csv", "user": "u", "item": "i", "time": "t"}}
    data["interactions"] |= interactions
    if items is not None:
        data["items"] = {"path": "items.csv", "id": "i"} | items
    return config_of(data=data, **sections)


def events(found: Config) -> tuple[list[dict[str, Any]], Counts]:
    """The clean events, and what was counted."""
    plan, table = Plan(found), found.data.interactions
    read = batches(Path(found.data.folder), table, list(plan.event_sources))
    cleaned = [clean_events(plan, batch, 0, 0) for batch in read]
    counts = sum((findings.counts for _, findings in cleaned), Counts())
    return pa.concat_tables([kept for kept, _ in cleaned]).to_pylist(), counts


def items(found: Config) -> list[dict[str, Any]]:
    """The clean rows of the items table."""
    plan, table = Plan(found), found.data.items
    assert table is not None
    read = batches(Path(found.data.folder), table, list(plan.entity_sources(table, plan.item)))
    return [row for batch in read for row in clean_entities(plan.item, table.id, "items", batch, 0, 0)[0].to_pylist()]
