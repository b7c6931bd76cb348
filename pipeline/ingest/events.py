"""Rows of the interactions as clean events: keys, time, labels and features, bad rows counted by reason."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from config import feature_names
from config.data import Outlier
from config.expressions import Expression
from pipeline.ingest.columns import TYPES, Column, Plan
from pipeline.ingest.findings import Findings
from pipeline.ingest.judgements import Judgement, LabelJudgement
from pipeline.ingest.line_ends import holds_line_end
from pipeline.ingest.reading import Batch
from pipeline.ingest.samples import (
    AN_ID,
    EXACT_ID,
    ONE_ID,
    WITHIN_FLOAT32,
    add_malformed,
    as_date,
    expected_of,
    expected_time,
    first_samples,
    tell_span,
)
from pipeline.ingest.values import (
    Parsed,
    as_float32,
    as_id,
    as_joined_text,
    as_list,
    as_nanoseconds,
    as_number,
    as_text,
    as_time,
    beyond_float32,
    holds_several,
    is_valid,
    null_where,
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

    def __init__(self, batch: Batch, file: int, first_row: int) -> None:
        size = len(batch.rows)
        self.is_kept = np.ones(size, bool)
        self.findings = Findings(Counter({(_TABLE, "rows"): size + batch.malformed}))
        self._batch, self._file, self._first_row = batch, file, first_row
        add_malformed(self.findings, _TABLE, batch, file, first_row)

    def drop(self, reason: str, rows: np.ndarray, is_bad: bool, column: str = "", expected: str = "") -> None:
        """Drops rows; a row counts under its first reason only. Bad ones are shown with what was `expected`."""
        dropped = rows & self.is_kept
        if number := int(dropped.sum()):
            self.findings.counts[_TABLE, "dropped", reason] += number
            if is_bad:
                self.findings.counts[_TABLE, "bad_rows"] += number
                self._show(reason, dropped, column, expected)
            self.is_kept &= ~rows

    def lose(self, column: Column, rows: np.ndarray, expected: str) -> np.ndarray:
        """Counts kept rows whose value of a feature cannot be read: it is missing in them. Returns those rows."""
        lost = rows & self.is_kept
        if number := int(lost.sum()):
            self.findings.counts[_TABLE, "unparsable", column.source] += number
            self._show(f"unparsable {column.source}", lost, column.source, expected)
        return lost

    def _show(self, reason: str, rows: np.ndarray, column: str, expected: str) -> None:
        samples = first_samples(self._batch, rows, self._file, self._first_row, column, expected)
        self.findings.samples[_TABLE, reason] = samples


def clean_events(plan: Plan, batch: Batch, file: int, first_row: int) -> tuple[pa.Table, Findings]:
    """Cleans what can be judged row by row and computes what each row says.

    Args:
      plan: What to read.
      batch: Rows of the interactions with all of `plan.event_sources`.
      file: The index of their file, `first_row` the position of the first of them in it.
      first_row: See above.

    Returns:
      The kept rows with the columns `user`, `item` (text), `time` (int64 seconds, 0 without a time column), `fraction`
      (int32 nanoseconds beyond them), `file`, `row` (int64), `positive` (bool), `label_<task>`, `weight_<task>`
      (float32; a multiclass task has no label), and the columns of `plan.event` and `plan.user_from_events` by name,
      null where missing; and what was found.
    """
    config, rows = plan.config.data.interactions, _Rows(batch, file, first_row)
    keys = {USER: _ids(config.user, batch, rows), ITEM: _ids(config.item, batch, rows)} | _times(plan, batch, rows)
    numbers = _numbers(plan, batch, rows)
    table = _clip(plan, batch.rows, numbers, rows)
    judged, judgements = _judgements(plan, table, numbers, rows)
    columns = keys | {
        FILE: pa.array(np.full(len(table), file, np.int64)),
        ROW: pa.array(np.arange(first_row, first_row + len(table))),
        **judged,
        **_features(plan, table, rows),
    }
    for judgement in judgements:
        judgement.tell(rows.findings, table, rows.is_kept)
    if config.time is not None:
        tell_span(rows.findings, _TABLE, config.time, keys[TIME].filter(pa.array(rows.is_kept)))
    return pa.table(columns).filter(pa.array(rows.is_kept)), rows.findings


def _features(plan: Plan, table: pa.Table, rows: _Rows) -> dict[str, pa.Array]:
    """The feature columns by name; a row with a value that cannot be read is bad and stays."""
    is_bad, values = np.zeros(len(table), bool), {}
    for column in plan.event + plan.user_from_events:
        parsed = read_column(column, table)
        is_bad |= rows.lose(column, parsed.is_unparsable, expected_of(column))
        values[column.name] = parsed.values
    if number := int(is_bad.sum()):
        rows.findings.counts[_TABLE, "bad_rows"] += number
    return values


def read_column(column: Column, table: pa.Table) -> Parsed:
    """Reads one feature column: text, float32, int64 seconds or lists of text, null where missing."""
    raw = table[column.source]
    if column.kind == "number":
        return as_float32(raw, column.decimal)
    if column.kind == "time":
        return as_time(raw, column.times)
    if column.kind == "list":
        values = as_list(raw, column.separator, column.missing)
    else:
        values = as_joined_text(raw, column.separator) if column.separator else as_text(raw)
    is_unparsable = holds_line_end(values) if column.is_token else np.zeros(len(table), bool)
    values = null_where(values, is_unparsable) if is_unparsable.any() else values
    return Parsed(values.cast(TYPES[column.kind]), is_unparsable)


def _ids(column: str, batch: Batch, rows: _Rows) -> pa.Array:
    ids = as_id(batch.rows[column])
    rows.drop(f"several values in {column}", holds_several(batch.rows[column]), True, column, ONE_ID)
    rows.drop(f"rounded {column}", ids.is_unparsable, True, column, EXACT_ID)
    rows.drop(f"missing {column}", ~is_valid(ids.values), True, column, AN_ID)
    rows.drop(f"line end in {column}", holds_line_end(ids.values), True, column, "an id in one line")
    return ids.values


def _times(plan: Plan, batch: Batch, rows: _Rows) -> dict[str, pa.Array]:
    config = plan.config.data.interactions
    if config.time is None:
        nanoseconds = pa.array(np.zeros(len(batch.rows), np.int64))
    else:
        times = as_nanoseconds(batch.rows[config.time], config.times)
        expected = expected_time(config.times)
        rows.drop(f"unparsable {config.time}", times.is_unparsable, True, config.time, expected)
        rows.drop(f"missing {config.time}", ~is_valid(times.values), True, config.time, expected)
        nanoseconds = times.values
        if plan.latest is not None:
            is_later = pc.fill_null(nanoseconds, 0).to_numpy() > plan.latest * 10**9
            rows.drop(f"future {config.time}", is_later, True, config.time, f"at most {as_date(plan.latest)}")
    return dict(zip((TIME, FRACTION), split_seconds(nanoseconds), strict=True))


def _numbers(plan: Plan, batch: Batch, rows: _Rows) -> dict[str, np.ndarray]:
    """The columns that must hold numbers, float64, NaN where missing."""
    numbers = {}
    for name in plan.number_columns:
        parsed = as_number(batch.rows[name], plan.config.data.interactions.decimal)
        rows.drop(f"unparsable {name}", parsed.is_unparsable, True, name, "a number")
        numbers[name] = parsed.values.to_numpy(zero_copy_only=False)
        rows.drop(f"{name} beyond float32", beyond_float32(numbers[name]), True, name, WITHIN_FLOAT32)
    return numbers


def _clip(plan: Plan, table: pa.Table, numbers: dict[str, np.ndarray], rows: _Rows) -> pa.Table:
    """Treats outliers, in `numbers` and in the table that is returned."""
    for outlier in plan.config.cleaning.outliers:
        is_outside = _is_outside(numbers[outlier.column], outlier)
        if outlier.action == "drop":
            rows.drop(f"outlier {outlier.column}", is_outside, is_bad=False)
        elif is_outside.any():
            rows.findings.counts[_TABLE, "clipped", outlier.column] += int((is_outside & rows.is_kept).sum())
            clipped = np.clip(numbers[outlier.column], outlier.min, outlier.max)
            numbers[outlier.column] = clipped
            position = table.column_names.index(outlier.column)
            table = table.set_column(position, outlier.column, pa.array(clipped, mask=np.isnan(clipped)))
    return table


def _is_outside(values: np.ndarray, outlier: Outlier) -> np.ndarray:
    low = -np.inf if outlier.min is None else outlier.min
    high = np.inf if outlier.max is None else outlier.max
    return (values < low) | (values > high)


def _judgements(
    plan: Plan, table: pa.Table, numbers: Mapping[str, np.ndarray], rows: _Rows
) -> tuple[dict[str, pa.Array], list[Judgement]]:
    """Positives, labels and weights by the configured expressions, and what is to be told of them. A label that is no
    chance is a bad row's where a chance is predicted: its cross-entropy would have no least value. So is one that
    float32 cannot hold."""
    is_positive = _holds(plan.positive, table, numbers)
    judged, judgements = {POSITIVE: pa.array(is_positive)}, []
    if plan.positive:
        judgements.append(Judgement("positive", plan.positive, is_positive))
    for label in plan.labels:
        is_labelled = _holds(label.where, table, numbers)
        if label.where is not None and label.is_own_where:
            judgements.append(Judgement(f"tasks.{label.task}.where", label.where, is_labelled))
        if label.label is not None:
            values, is_present = _evaluate(label.label, table, numbers)
            is_labelled = is_labelled & is_present
            column = label.label.columns[0] if label.label.columns else ""
            if label.is_chance:
                reason, is_outside = f"label of `{label.task}` outside 0..1", (values < 0) | (values > 1)
                rows.drop(reason, is_labelled & is_outside, True, column, f"0 to 1 in `{label.label.text}`")
            is_beyond = is_labelled & beyond_float32(values)
            rows.drop(f"label of `{label.task}` beyond float32", is_beyond, True, column, WITHIN_FLOAT32)
            judgements.append(
                LabelJudgement(f"tasks.{label.task}.label", label.label, values != 0, is_labelled, values)
            )
            labels = np.where(is_labelled & ~is_beyond, values, 0).astype(np.float32)
            judged[feature_names.label(label.task)] = pa.array(labels)
        judged[feature_names.weight(label.task)] = pa.array(is_labelled.astype(np.float32))
    return judged, judgements


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
