"""Rows of the interactions as clean events: keys, time, labels and features, bad rows counted by reason."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa

from pipeline import layout
from pipeline.config.data import Outlier, TimeUnit
from pipeline.expressions import Expression
from pipeline.ingest.columns import TYPES, Column, Plan
from pipeline.ingest.reading import Batch
from pipeline.ingest.report import Counts
from pipeline.ingest.values import (
    Parsed,
    as_list,
    as_nanoseconds,
    as_number,
    as_text,
    as_time,
    is_valid,
    split_seconds,
)

USER: Final = "user"
ITEM: Final = "item"
TIME: Final = "time"
FRACTION: Final = "fraction"
FILE: Final = "file"
ROW: Final = "row"
POSITIVE: Final = "positive"

_TABLE: Final = "interactions"


class _Rows:
    """The rows still kept, and why the others are not."""

    def __init__(self, batch: Batch) -> None:
        size = len(batch.rows)
        self.is_kept = np.ones(size, bool)
        self.counts: Counts = Counter({(_TABLE, "rows"): size + batch.malformed})
        self._count_drops("malformed row", batch.malformed, is_bad=True)

    def drop(self, reason: str, rows: np.ndarray, is_bad: bool) -> None:
        """Drops rows; a row counts under its first reason only."""
        self._count_drops(reason, int((rows & self.is_kept).sum()), is_bad)
        self.is_kept &= ~rows

    def _count_drops(self, reason: str, number: int, is_bad: bool) -> None:
        if number:
            self.counts[_TABLE, "dropped", reason] += number
            self.counts[_TABLE, "bad_rows"] += number if is_bad else 0


def clean_events(plan: Plan, batch: Batch, file: int, first_row: int) -> tuple[pa.Table, Counts]:
    """Cleans what can be judged row by row and computes what each row says.

    Args:
      plan: What to read.
      batch: Rows of the interactions with all of `plan.event_sources`.
      file: The index of their file, `first_row` the place of the first of them in it.
      first_row: See above.

    Returns:
      The kept rows with the columns `user`, `item` (text), `time` (int64 seconds, 0 without a time column), `fraction`
      (int32 nanoseconds beyond them), `file`, `row` (int64), `positive` (bool), `label_<task>`, `weight_<task>`
      (float32; a multiclass task has no label), and the columns of `plan.event` and `plan.user_from_events` by name,
      null where missing; and the counts.
    """
    config, rows = plan.config.data.interactions, _Rows(batch)
    keys = {USER: as_text(batch.rows[config.user]), ITEM: as_text(batch.rows[config.item])}
    rows.drop(f"missing {config.user}", ~is_valid(keys[USER]), is_bad=True)
    rows.drop(f"missing {config.item}", ~is_valid(keys[ITEM]), is_bad=True)
    keys |= _times(plan, batch, rows)
    numbers = _numbers(plan, batch, rows)
    table = _clip(plan, batch.rows, numbers, rows)
    columns = keys | {
        FILE: pa.array(np.full(len(table), file, np.int64)),
        ROW: pa.array(np.arange(first_row, first_row + len(table))),
        **_judgements(plan, table, numbers, rows),
        **{c.name: read_column(c, table, config.time_unit).values for c in plan.event + plan.user_from_events},
    }
    return pa.table(columns).filter(pa.array(rows.is_kept)), rows.counts


def read_column(column: Column, table: pa.Table, unit: TimeUnit) -> Parsed:
    """Reads one feature column: text, float32, int64 seconds or lists of text, null where missing."""
    raw = table[column.source]
    if column.kind == "number":
        numbers = as_number(raw)
        return Parsed(numbers.values.cast(pa.float32()), numbers.is_unparsable)
    if column.kind == "time":
        return as_time(raw, unit)
    values = as_list(raw, column.separator) if column.kind == "list" else as_text(raw)
    return Parsed(values.cast(TYPES[column.kind]), np.zeros(len(table), bool))


def _times(plan: Plan, batch: Batch, rows: _Rows) -> dict[str, pa.Array]:
    config = plan.config.data.interactions
    if config.time is None:
        nanoseconds = pa.array(np.zeros(len(batch.rows), np.int64))
    else:
        times = as_nanoseconds(batch.rows[config.time], config.time_unit)
        rows.drop(f"unparsable {config.time}", times.is_unparsable, is_bad=True)
        rows.drop(f"missing {config.time}", ~is_valid(times.values), is_bad=True)
        nanoseconds = times.values
    return dict(zip((TIME, FRACTION), split_seconds(nanoseconds), strict=True))


def _numbers(plan: Plan, batch: Batch, rows: _Rows) -> dict[str, np.ndarray]:
    """The columns that must hold numbers, float64, NaN where missing."""
    numbers = {}
    for name in plan.number_columns:
        parsed = as_number(batch.rows[name])
        rows.drop(f"unparsable {name}", parsed.is_unparsable, is_bad=True)
        numbers[name] = parsed.values.to_numpy(zero_copy_only=False)
    return numbers


def _clip(plan: Plan, table: pa.Table, numbers: dict[str, np.ndarray], rows: _Rows) -> pa.Table:
    """Treats outliers, in `numbers` and in the table that is returned."""
    for outlier in plan.config.cleaning.outliers:
        is_outside = _is_outside(numbers[outlier.column], outlier)
        if outlier.action == "drop":
            rows.drop(f"outlier {outlier.column}", is_outside, is_bad=False)
        elif is_outside.any():
            rows.counts[_TABLE, "clipped", outlier.column] += int((is_outside & rows.is_kept).sum())
            clipped = np.clip(numbers[outlier.column], outlier.min, outlier.max)
            numbers[outlier.column] = clipped
            place = table.column_names.index(outlier.column)
            table = table.set_column(place, outlier.column, pa.array(clipped, mask=np.isnan(clipped)))
    return table


def _is_outside(values: np.ndarray, outlier: Outlier) -> np.ndarray:
    low = -np.inf if outlier.min is None else outlier.min
    high = np.inf if outlier.max is None else outlier.max
    return (values < low) | (values > high)


def _judgements(plan: Plan, table: pa.Table, numbers: Mapping[str, np.ndarray], rows: _Rows) -> dict[str, pa.Array]:
    """Positives, labels and weights by the configured expressions. A label that is no chance is a bad row's where a
    chance is predicted: its cross-entropy would have no least value."""
    judged = {POSITIVE: pa.array(_holds(plan.positive, table, numbers))}
    for label in plan.labels:
        is_labelled = _holds(label.where, table, numbers)
        if label.label is not None:
            values, is_present = _evaluate(label.label, table, numbers)
            is_labelled = is_labelled & is_present
            if label.is_chance:
                rows.drop(
                    f"label of `{label.task}` outside 0..1", is_labelled & ((values < 0) | (values > 1)), is_bad=True
                )
            judged[layout.label(label.task)] = pa.array(np.where(is_labelled, values, 0).astype(np.float32))
        judged[layout.weight(label.task)] = pa.array(is_labelled.astype(np.float32))
    return judged


def _holds(expression: Expression | None, table: pa.Table, numbers: Mapping[str, np.ndarray]) -> np.ndarray:
    if expression is None:
        return np.ones(len(table), bool)
    values, is_present = _evaluate(expression, table, numbers)
    return is_present & (values != 0)


def _evaluate(
    expression: Expression, table: pa.Table, numbers: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    columns = {"": np.zeros(len(table))}  # tells a constant the number of rows
    for name in expression.columns:
        is_text = name in expression.text_columns
        columns[name] = as_text(table[name]).to_numpy(zero_copy_only=False) if is_text else numbers[name]
    return expression.evaluate(columns)
