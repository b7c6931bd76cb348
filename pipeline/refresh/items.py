"""Reads a new items table as ingest does, and writes it as the split `items`."""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import tensorflow as tf

from config import Config
from pipeline.ingest import verdicts
from pipeline.ingest.cleaning import clean_batch, clean_entities, distinct
from pipeline.ingest.columns import Plan
from pipeline.ingest.examples import encode_items
from pipeline.ingest.findings import Findings
from pipeline.ingest.headers import check_columns, check_has_rows, file_columns
from pipeline.ingest.reading import read_batches
from pipeline.ingest.report import as_report, reasons
from pipeline.ingest.tables import TableError

ITEMS = "items"


class ItemRows(NamedTuple):
    """The rows of the table.

    Attributes:
      rows: All rows.
      kept: Those with distinct, usable ids.
      lost: Why the others, and values, were not usable; "" where all were.
    """

    rows: int
    kept: int
    lost: str


def write_items(config: Config, path: Path, target: Path) -> ItemRows:
    """Reads the items table in a file, and writes its examples as gzipped TFRecords.

    Format, separator, columns and kinds of features are those of `data.items` and `features.item`; bad rows and values
    are counted as ingest does.

    Args:
      config: The configuration, with an items table.
      path: The new table.
      target: The file to write.

    Raises:
      TableError: The table cannot be read, lacks a column or a usable row, or has more bad rows than
        `cleaning.max_bad_share` allows.
    """
    plan = Plan(config)
    if config.data.items is None:
        raise TableError("`data.items` should name the items table")
    table = config.data.items.model_copy(update={"path": str(path)})
    sources = plan.entity_sources(table, plan.item)
    check_columns(str(path), table, sources, file_columns(str(path), table))
    check_has_rows([str(path)], table)
    clean, findings, parts, first = partial(clean_entities, plan.item, table.id, ITEMS), Findings(), [], 0
    for batch in read_batches(str(path), table, sources):
        rows, found = clean_batch(clean, str(path), batch, 0, first)
        parts.append(rows)
        findings.add(found)
        first += len(batch.rows)
    items, counts = distinct(pa.concat_tables(parts), ITEMS)
    findings.counts += counts
    report: dict[str, Any] = as_report(findings, {ITEMS: [str(path)]})
    for problem in verdicts.bad_rows(report, config):
        raise TableError(f"{path}: {problem}")
    if not len(items):
        raise TableError(f"{path}: no row has a usable id. Found: {reasons(report[ITEMS])}")
    with tf.io.TFRecordWriter(str(target), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for example in encode_items(items, plan.item):
            writer.write(example)
    return ItemRows(report[ITEMS]["rows"], len(items), reasons(report[ITEMS]))
