"""What ingest finds in the tables, as values that add up: counts, the first bad rows, spans, examples.

It imports no Beam, since `check` reads rows without it.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple, Union

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Counts = Counter[tuple[str, ...]]
"""Numbers by path, such as ("interactions", "dropped", "duplicate")."""

ERRORS: Final = "errors"
OVERLAP: Final = "overlap"
SAMPLES: Final = 5
"""The number of bad rows of each reason that are kept."""
VALUES: Final = 10
"""The number of a column's most frequent values that a report shows."""
_MAX_TEXT: Final = 80


class Sample(NamedTuple):
    """A bad row.

    Attributes:
      file: The index of its file, or of its bundle where large files are read in several.
      row: Its index in the file or bundle, from 0.
      line: Its line in it, from 1; None where it is not known.
      column: The column that is wrong; empty where it is the whole row.
      value: The value found.
      expected: What was expected.
    """

    file: int
    row: int
    line: int | None
    column: str
    value: str
    expected: str


class Extent(NamedTuple):
    """How much a bundle holds.

    Attributes:
      rows: The number of its rows, without malformed ones.
      lines: The number of its lines; None where it is not known.
    """

    rows: int
    lines: int | None


class Findings:
    """What was found in a part of the tables; `add` puts parts together, in any order.

    Attributes:
      counts: Numbers by path.
      samples: The first `SAMPLES` bad rows by table and reason.
      spans: The least and the greatest value: times by table and column, labels by ("label", key).
      expressions: The number of kept rows in which an expression has a value (`of`) and in which it `holds`, by key.
      values: The most frequent values of a column, in rows where an expression had one result for all, by the
        expression's key and the column.
      examples: The shortest text of each kind, such as ("overlap", "items", "log").
      extents: How much each bundle holds, by table and the bundle's index.
    """

    def __init__(self, counts: Counts | None = None) -> None:
        # Not a dataclass, which Beam would take for a row with a schema.
        self.counts: Counts = Counter() if counts is None else counts
        self.samples: dict[tuple[str, str], list[Sample]] = {}
        self.spans: dict[tuple[str, str], tuple[float, float]] = {}
        self.expressions: Counts = Counter()
        self.values: dict[tuple[str, str], Counter[str]] = {}
        self.examples: dict[tuple[str, ...], str] = {}
        self.extents: dict[tuple[str, int], Extent] = {}

    def add(self, other: Union["Findings", Counts]) -> None:
        """Adds the findings, or counts, of another part."""
        if isinstance(other, Counter):
            self.counts.update(other)
            return
        self.counts.update(other.counts)
        self.expressions.update(other.expressions)
        self.extents.update(other.extents)
        for reason, samples in other.samples.items():
            self.samples[reason] = sorted([*self.samples.get(reason, ()), *samples])[:SAMPLES]
        for key, span in other.spans.items():
            self.widen(key, *span)
        for column, values in other.values.items():
            self.values.setdefault(column, Counter()).update(values)
        for path, text in other.examples.items():
            self.add_example(path, text)

    def widen(self, key: tuple[str, str], least: float, greatest: float) -> None:
        """Widens a span to hold two more values."""
        old = self.spans.get(key, (least, greatest))
        self.spans[key] = (min(old[0], least), max(old[1], greatest))

    def add_example(self, path: tuple[str, ...], text: str) -> None:
        """Keeps the text where it is shorter than the example so far, or as long and before it in the alphabet."""
        old = self.examples.get(path, text)
        self.examples[path] = min((old, text), key=lambda value: (len(value), value))

    def add_overlap(self, table: str, ids: pa.Array, events: np.ndarray, known: pa.Array) -> None:
        """Counts how many ids of the log are in the table of items or users, and how many of the log's events.

        The counts are `of` and `met` (distinct ids), `of_events` and `met_events`; the examples `log` and `table` are
        ids that only one of the two holds.

        Args:
          table: "items" or "users".
          ids: Distinct ids of the log, text [n].
          events: The number of events of each, int64 [n].
          known: The table's ids, text [m].
        """
        is_met = np.asarray(pc.is_in(ids, known).to_numpy(zero_copy_only=False), bool)
        numbers = {"of": len(ids), "met": is_met.sum(), "of_events": events.sum(), "met_events": events[is_met].sum()}
        for name, number in numbers.items():
            self.counts[OVERLAP, table, name] += int(number)
        only = {"log": ids.filter(pa.array(~is_met)), "table": known[:0] if is_met.any() else known}
        for name, unmatched in only.items():
            lengths = pc.utf8_length(unmatched)
            if len(shortest := unmatched.filter(pc.equal(lengths, pc.min(lengths)))):
                self.add_example((OVERLAP, table, name), pc.min(shortest).as_py())


def merge(parts: Iterable[Findings | Counts]) -> Findings:
    """Returns the sum of the parts; a Beam combiner."""
    total = Findings()
    for part in parts:
        total.add(part)
    return total


def shortened(value: object) -> str:
    """Returns a value as text, cut where it is too long for a message."""
    text = "" if value is None else str(value)
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 3] + "..."
