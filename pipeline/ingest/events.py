"""Rows of the interactions as clean events: ids, time, labels and features, bad rows counted by reason."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from config import feature_names
from config.expressions import Expression
from pipeline.ingest.batches import Batch
from pipeline.ingest.cleaning import BatchRows
from pipeline.ingest.columns import Plan
from pipeline.ingest.findings import VALUES, Findings, shortened
from pipeline.ingest.times import as_date, as_nanoseconds, expected_time, split_seconds
from pipeline.ingest.values import as_number, as_text, beyond_float32, is_valid

USER: Final = "user"
ITEM: Final = "item"
TIME: Final = "time"
FRACTION: Final = "fraction"
POSITIVE: Final = "positive"
_TABLE: Final = "interactions"
_WITHIN_FLOAT32: Final = "a number that float32 holds, at most 3.4e38"


def clean_events(plan: Plan, batch: Batch, file: int, first_row: int) -> tuple[pa.Table, Findings]:
    """Cleans rows of the interactions, each by itself, and computes their labels.

    Args:
      plan: What to read.
      batch: Rows of the interactions with all of `plan.event_sources`.
      file: The index of their bundle.
      first_row: The index in the bundle of the first of them.

    Returns:
      The kept rows with the columns `user`, `item` (text), `time` (int64 seconds, 0 without a time column), `fraction`
      (int32 nanoseconds beyond them), `file`, `row` (int64), `positive` (bool), `label_<task>`, `weight_<task>`
      (float32; a multiclass task has no label), and the columns of `plan.event` and `plan.user_from_events` by name,
      null where missing; and the findings.
    """
    config, rows = plan.config.data.interactions, BatchRows(_TABLE, batch, file, first_row)
    columns = {USER: rows.read_ids(config.user), ITEM: rows.read_ids(config.item)}
    columns |= _read_times(plan, batch, rows) | rows.origin()
    numbers = _read_numbers(plan, batch, rows)
    table = _treat_outliers(plan, batch.rows, numbers, rows)
    labels, evaluated = _label_events(plan, table, numbers, rows)
    columns |= labels | rows.read_features(plan.event + plan.user_from_events, table)
    for expression in evaluated:
        expression.count(rows.findings, table, rows.is_kept)
    if config.time is not None:
        rows.add_span(config.time, columns[TIME].filter(pa.array(rows.is_kept)))
    return rows.kept(columns), rows.findings


def _read_times(plan: Plan, batch: Batch, rows: BatchRows) -> dict[str, pa.Array]:
    config = plan.config.data.interactions
    if config.time is None:
        nanoseconds = pa.array(np.zeros(len(batch.rows), np.int64))
    else:
        times = as_nanoseconds(batch.rows[config.time], config.times)
        expected = expected_time(config.times)
        rows.drop(f"unparsable {config.time}", times.is_unparsable, config.time, expected)
        rows.drop(f"missing {config.time}", ~is_valid(times.values), config.time, expected)
        nanoseconds = times.values
        if plan.latest is not None:
            is_later = pc.fill_null(nanoseconds, 0).to_numpy() > plan.latest * 10**9
            rows.drop(f"future {config.time}", is_later, config.time, f"at most {as_date(plan.latest)}")
    return dict(zip((TIME, FRACTION), split_seconds(nanoseconds), strict=True))


def _read_numbers(plan: Plan, batch: Batch, rows: BatchRows) -> dict[str, np.ndarray]:
    """Returns the columns that must hold numbers, float64 [n], NaN where missing."""
    numbers = {}
    for name in plan.number_columns:
        parsed = as_number(batch.rows[name], plan.config.data.interactions.decimal)
        rows.drop(f"unparsable {name}", parsed.is_unparsable, name, "a number")
        numbers[name] = parsed.values.to_numpy(zero_copy_only=False)
        rows.drop(f"{name} beyond float32", beyond_float32(numbers[name]), name, _WITHIN_FLOAT32)
    return numbers


def _treat_outliers(plan: Plan, table: pa.Table, numbers: dict[str, np.ndarray], rows: BatchRows) -> pa.Table:
    """Drops or clips outliers, in `numbers` and in the table that is returned."""
    for outlier in plan.config.cleaning.outliers:
        name, values = outlier.column, numbers[outlier.column]
        low = -np.inf if outlier.min is None else outlier.min
        high = np.inf if outlier.max is None else outlier.max
        is_outside = (values < low) | (values > high)
        if outlier.action == "drop":
            rows.drop(f"outlier {name}", is_outside, is_bad=False)
        elif is_outside.any():
            rows.findings.counts[_TABLE, "clipped", name] += int((is_outside & rows.is_kept).sum())
            numbers[name] = np.clip(values, low, high)
            clipped = pa.array(numbers[name], mask=np.isnan(values))
            table = table.set_column(table.column_names.index(name), name, clipped)
    return table


@dataclass(frozen=True)
class _Evaluated:
    """An expression's result in the rows of a batch.

    Attributes:
      key: The expression's key in the configuration, such as "tasks.like.where".
      expression: The expression.
      holds: Whether it is true, or a label not 0, bool [n].
      is_present: Which rows have a label, bool [n]; None for a condition, which every row has.
      labels: The labels, float64 [n]; None for a condition.
    """

    key: str
    expression: Expression
    holds: np.ndarray
    is_present: np.ndarray | None = None
    labels: np.ndarray | None = None

    def count(self, findings: Findings, table: pa.Table, is_kept: np.ndarray) -> None:
        """Counts the kept rows in which the expression has a value and holds.

        Where it has one result in all of them, or a label has no value in any, the most frequent values of its columns
        are added too; of a label also the least and the greatest value.

        Args:
          findings: What is added to.
          table: The rows.
          is_kept: Which rows are kept, bool [n].
        """
        rows = is_kept if self.is_present is None else is_kept & self.is_present
        number, holds = int(np.count_nonzero(rows)), int(np.count_nonzero(self.holds & rows))
        findings.expressions[self.key, "of"] += number
        findings.expressions[self.key, "holds"] += holds
        is_constant = holds in (0, number)
        if self.labels is not None and number:
            least, greatest = float(self.labels[rows].min()), float(self.labels[rows].max())
            findings.widen(("label", self.key), least, greatest)
            is_constant = least == greatest
        shown = rows if number else is_kept
        if is_constant and shown.any():
            for column in self.expression.columns:
                findings.values[self.key, column] = _most_frequent(table[column], shown)


def _most_frequent(column: pa.ChunkedArray, rows: np.ndarray) -> Counter[str]:
    """Returns the most frequent values and their numbers; "" is missing."""
    counted = pc.value_counts(as_text(column).filter(pa.array(rows)))
    values, numbers = counted.field("values").to_pylist(), counted.field("counts").to_numpy()
    order = np.argsort(-numbers, kind="stable")[: 2 * VALUES].tolist()
    return Counter({shortened(values[n]): int(numbers[n]) for n in order})


def _label_events(
    plan: Plan, table: pa.Table, numbers: Mapping[str, np.ndarray], rows: BatchRows
) -> tuple[dict[str, pa.Array], list[_Evaluated]]:
    """Computes positives, labels and weights.

    A label outside [0, 1] of a task that predicts a probability makes a bad row, since its cross-entropy would have no
    minimum. So does a label beyond float32.

    Args:
      plan: The expressions.
      table: The rows, [n].
      numbers: The columns that hold numbers, float64 [n], NaN where missing.
      rows: Drops the bad rows.

    Returns:
      The columns `positive` (bool), `label_<task>` and `weight_<task>` (float32), and the results of all expressions.
    """
    is_positive = _holds(plan.positive, table, numbers)
    columns, evaluated = {POSITIVE: pa.array(is_positive)}, []
    if plan.positive:
        evaluated.append(_Evaluated("positive", plan.positive, is_positive))
    for label in plan.labels:
        is_labelled = _holds(label.where, table, numbers)
        if label.where is not None and label.is_own_where:
            evaluated.append(_Evaluated(f"tasks.{label.task}.where", label.where, is_labelled))
        if label.label is not None:
            values, is_present = _evaluate(label.label, table, numbers)
            is_labelled = is_labelled & is_present
            column = label.label.columns[0] if label.label.columns else ""
            if label.is_probability:
                reason, is_outside = f"label of `{label.task}` outside 0..1", (values < 0) | (values > 1)
                rows.drop(reason, is_labelled & is_outside, column, f"0 to 1 in `{label.label.text}`")
            is_beyond = is_labelled & beyond_float32(values)
            rows.drop(f"label of `{label.task}` beyond float32", is_beyond, column, _WITHIN_FLOAT32)
            key = f"tasks.{label.task}.label"
            evaluated.append(_Evaluated(key, label.label, values != 0, is_labelled, values))
            labels = np.where(is_labelled & ~is_beyond, values, 0).astype(np.float32)
            columns[feature_names.label(label.task)] = pa.array(labels)
        columns[feature_names.weight(label.task)] = pa.array(is_labelled.astype(np.float32))
    return columns, evaluated


def _holds(expression: Expression | None, table: pa.Table, numbers: Mapping[str, np.ndarray]) -> np.ndarray:
    if expression is None:
        return np.ones(len(table), bool)
    values, is_present = _evaluate(expression, table, numbers)
    return is_present & (values != 0)


def _evaluate(
    expression: Expression, table: pa.Table, numbers: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    columns = {"": np.zeros(len(table))}  # gives a constant the number of rows
    for name in expression.columns:
        is_text = name in expression.text_columns
        columns[name] = as_text(table[name]).to_numpy(zero_copy_only=False) if is_text else numbers[name]
    return expression.evaluate(columns)
