"""What ingest finds out about the tables on its way, as values that add up: counts, first bad rows, spans, examples.

It imports no Beam: `check` reads rows without.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Union

Counts = Counter[tuple[str, ...]]
"""Numbers by path, such as ("interactions", "dropped", "duplicate")."""

ERRORS: Final = "errors"
SAMPLES: Final = 5
"""So many bad rows of each reason are shown."""
VALUES: Final = 10
"""So many of a column's most frequent values are shown."""
_MAX_TEXT: Final = 80


class Sample(NamedTuple):
    """A bad row.

    Attributes:
      file: The index of its file.
      row: Its position in the file, from 0.
      line: Its line in the file, from 1; None where it is not known.
      column: The column that is wrong; empty where it is the whole row.
      value: What stands there.
      expected: What should.
    """

    file: int
    row: int
    line: int | None
    column: str
    value: str
    expected: str


class Findings:
    """What a part of the tables says; `add` puts parts together, in any order.

    Attributes:
      counts: Numbers by path.
      samples: The first `SAMPLES` bad rows by table and reason.
      spans: The least and the greatest value: times by table and column, labels by ("label", task).
      expressions: In how many kept rows an expression has a value (`of`) and in how many it `holds`, by its key.
      values: How often a column had a value in rows where an expression said the same of all: by the expression's key
        and the column.
      examples: The shortest text of each kind, such as ("overlap", "items", "log").
    """

    def __init__(self, counts: Counts | None = None) -> None:
        # No dataclass: Beam would take it for a row with a schema.
        self.counts: Counts = Counter() if counts is None else counts
        self.samples: dict[tuple[str, str], list[Sample]] = {}
        self.spans: dict[tuple[str, str], tuple[float, float]] = {}
        self.expressions: Counts = Counter()
        self.values: dict[tuple[str, str], Counter[str]] = {}
        self.examples: dict[tuple[str, ...], str] = {}

    def add(self, other: Union["Findings", Counts]) -> None:
        """Adds another part; of counts alone, too."""
        if isinstance(other, Counter):
            self.counts.update(other)
            return
        self.counts.update(other.counts)
        self.expressions.update(other.expressions)
        for reason, samples in other.samples.items():
            self.samples[reason] = sorted([*self.samples.get(reason, ()), *samples])[:SAMPLES]
        for key, span in other.spans.items():
            self.widen(key, *span)
        for position, values in other.values.items():
            self.values.setdefault(position, Counter()).update(values)
        for path, text in other.examples.items():
            self.exemplify(path, text)

    def widen(self, key: tuple[str, str], least: float, greatest: float) -> None:
        """Makes a span hold two more values."""
        old = self.spans.get(key, (least, greatest))
        self.spans[key] = (min(old[0], least), max(old[1], greatest))

    def exemplify(self, path: tuple[str, ...], text: str) -> None:
        """Keeps the text where it is shorter than the example so far, or as long and before it in the alphabet."""
        old = self.examples.get(path, text)
        self.examples[path] = min((old, text), key=lambda value: (len(value), value))


def merge(parts: Iterable[Findings | Counts]) -> Findings:
    """The parts together; a Beam combiner."""
    total = Findings()
    for part in parts:
        total.add(part)
    return total


def shown(value: object) -> str:
    """A value in a message: cut where it is long."""
    text = "" if value is None else str(value)
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 3] + "..."


def as_report(findings: Findings, files: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The findings as nested objects of JSON.

    Args:
      findings: Of all tables.
      files: The files of each table, in their order.

    Returns:
      The counts by their paths; `samples`, a list of objects; `spans` and `labels`, pairs; `values`; `overlap` with the
      examples.
    """
    report: dict[str, Any] = {}
    for path, number in findings.counts.items():
        _put(report, path, number)
    for path, number in findings.expressions.items():
        _put(report, ("expressions", *path), number)
    for path, text in findings.examples.items():
        _put(report, path, text)
    for (table, column), span in findings.spans.items():
        section = "labels" if table == "label" else "spans"
        _put(report, (section, column) if table == "label" else (section, table, column), list(span))
    for (key, column), values in findings.values.items():
        common = sorted(values.items(), key=lambda entry: (-entry[1], entry[0]))[:VALUES]
        _put(report, ("values", key, column), dict(common))
    samples = [
        _as_object(table, reason, sample, files[table])
        for (table, reason), samples in sorted(findings.samples.items())
        for sample in samples
    ]
    return report | ({"samples": samples} if samples else {})


def as_json(report: Mapping[str, Any]) -> str:
    """The report as text, keys sorted."""
    return json.dumps(report, indent=2, sort_keys=True) + "\n"


def _as_object(table: str, reason: str, sample: Sample, files: Sequence[str]) -> dict[str, Any]:
    position = {"row": sample.row + 1} if sample.line is None else {"line": sample.line}
    return {
        "table": table,
        "reason": reason,
        "file": files[sample.file],
        **position,
        "column": sample.column,
        "value": sample.value,
        "expected": sample.expected,
    }


def _put(report: dict[str, Any], path: Sequence[str], value: Any) -> None:
    position = report
    for part in path[:-1]:
        position = position.setdefault(part, {})
    position[path[-1]] = value
