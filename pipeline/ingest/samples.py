"""The first bad rows of a batch with their positions and values, and what should stand there."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.ingest.columns import Column
from pipeline.ingest.findings import SAMPLES, Findings, Sample, shown
from pipeline.ingest.reading import Batch

MALFORMED = "malformed row"
AN_ID = "an id, no word of the table's `missing`"
EXACT_ID = "an id as text or an integer: a float of this size is rounded"
ONE_ID = "one id, no list of several values"
WITHIN_FLOAT32 = "a number that float32 holds, at most 3.4e38"
_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}


def add_malformed(findings: Findings, table: str, batch: Batch, file: int, first_row: int) -> None:
    """Counts the lines of a batch that are no rows, and shows the first."""
    if batch.malformed:
        findings.counts[table, "dropped", MALFORMED] += batch.malformed
        findings.counts[table, "bad_rows"] += batch.malformed
    if batch.samples:
        findings.samples[table, MALFORMED] = [
            Sample(file, first_row, bad.line, "", shown(bad.text), bad.problem) for bad in batch.samples
        ]


def first_samples(
    batch: Batch, rows: np.ndarray, file: int, first_row: int, column: str, expected: str
) -> list[Sample]:
    """The first `SAMPLES` of the marked rows.

    Args:
      batch: The rows as they were read.
      rows: Which are bad, bool [n].
      file: The index of the file, `first_row` the position of the batch's first row in it.
      first_row: See above.
      column: The column that is wrong.
      expected: What should stand there.
    """
    written = batch.rows if batch.written is None else batch.written
    return [
        Sample(
            file,
            first_row + position,
            None if batch.lines is None else int(batch.lines[position]),
            column,
            shown(written[column][position].as_py()) if column else "",
            expected,
        )
        for position in np.flatnonzero(rows)[:SAMPLES].tolist()
    ]


def tell_span(findings: Findings, table: str, column: str, seconds: pa.Array) -> None:
    """Adds the first and the last time of a column: int64 seconds, null where missing."""
    ends = pc.min_max(seconds).as_py()
    if ends["min"] is not None:
        findings.widen((table, column), ends["min"], ends["max"])


def expected_of(column: Column) -> str:
    """What a feature's values should be."""
    if column.kind == "time":
        return expected_time(column.times)
    return "a number that float32 holds" if column.kind == "number" else "text in one line"


def expected_time(times: str) -> str:
    """What a time of a `TimeUnit` or a format of strptime should look like."""
    if times in _UNITS:
        return f"{_UNITS[times]} since 1970 (`time_unit: {times}`)"
    if times != "iso8601":
        return f"a time such as {datetime(2024, 5, 1, 12, 30).strftime(times)} (`time_format: {times!r}`)"
    return "a time such as 2024-05-01T12:30:00Z (`time_unit: iso8601`)"


def as_date(seconds: float) -> str:
    """Seconds since 1970 as `2024-05-01 12:30:00`, UTC; beyond the calendar as seconds."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError):
        return f"{seconds:,.0f} seconds from 1970"
