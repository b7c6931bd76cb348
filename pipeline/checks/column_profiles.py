"""Profiles a table's columns: what each holds, and whether that fits its use in the configuration."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.checks.column_uses import column_uses
from pipeline.ingest.columns import Plan
from pipeline.ingest.findings import shortened
from pipeline.ingest.literals import ListError, read_lists
from pipeline.ingest.values import as_joined_text, as_number, as_text, holds_several, is_list

MAX_DISTINCT: Final = 10_000
"""The number of distinct values that are counted."""
EXAMPLES: Final = 3
_MANY: Final = 0.5
_MOSTLY: Final = 0.9
_ID_LIKE: Final = 100
_BRACKETS: Final = r"(?s)^(?:[\[({].*[\])}]|array\(.*\))$"
_SEPARATORS: Final = ("|", ";", ",", "::", "/")


@dataclass
class Profile:
    """The values of a column, and what it is used for.

    Attributes:
      column: Its name.
      uses: Its roles, such as "item id", "numeric feature", "positive".
      kind: Of the feature that is read from it; empty where there is none.
      separator: Of a multi-valued feature.
      rows: The number of rows.
      missing: The number of rows without a value.
      numbers: The number of values that are numbers.
      fractions: The number of values that are numbers and not whole.
      least: The least number.
      greatest: The greatest number.
      several: The number of rows with a list of more than one value.
      cells: The number of texts that are lists as JSON or Python writes them, and the first.
      brackets: The number of other texts in brackets, and the first.
      distinct: The distinct values, up to about `MAX_DISTINCT`, in the order of their rows.
      separated: The number of texts that hold each common separator.
    """

    column: str
    uses: tuple[str, ...]
    kind: str = ""
    separator: str = ""
    rows: int = 0
    missing: int = 0
    numbers: int = 0
    fractions: int = 0
    least: float = np.inf
    greatest: float = -np.inf
    several: int = 0
    cells: tuple[int, str] = (0, "")
    brackets: tuple[int, str] = (0, "")
    distinct: dict[str, None] = field(default_factory=dict)
    separated: Counter[str] = field(default_factory=Counter)

    def add(self, values: pa.ChunkedArray) -> None:
        """Adds more values of the column."""
        self.several += int(np.count_nonzero(holds_several(values)))
        text = (as_joined_text(values, self.separator or "|") if is_list(values.type) else as_text(values)).drop_null()
        self.rows += len(values)
        self.missing += len(values) - len(text)
        if len(self.distinct) <= MAX_DISTINCT:
            self.distinct.update(dict.fromkeys(pc.unique(text).to_pylist()))
        plain = self._without_lists(text) if not is_list(values.type) else text[:0]
        for separator in _SEPARATORS if len(plain) else ():
            self.separated[separator] += int(pc.sum(pc.match_substring(plain, separator)).as_py() or 0)
        numbers = as_number(text).values.drop_null().to_numpy()
        if len(numbers):
            self.numbers += len(numbers)
            self.fractions += int(np.count_nonzero(numbers % 1))
            self.least, self.greatest = min(self.least, numbers.min()), max(self.greatest, numbers.max())

    def _without_lists(self, text: pa.Array) -> pa.Array:
        """Returns the texts that are not in brackets, and counts the others in `cells` and `brackets`."""
        is_bracketed = pc.match_substring_regex(text, _BRACKETS)
        cells = text.filter(is_bracketed)
        if not len(cells):
            return text
        try:
            is_read = pc.is_valid(read_lists(cells, pa.nulls(len(cells), pa.list_(pa.string()))))
        except ListError:  # of objects
            is_read = pa.array([True] * len(cells))
        self.cells = _and_first(self.cells, cells.filter(is_read))
        self.brackets = _and_first(self.brackets, cells.filter(pc.invert(is_read)))
        return text.filter(pc.invert(is_bracketed))

    @property
    def present(self) -> int:
        """The rows with a value."""
        return self.rows - self.missing

    def holds(self) -> str:
        """Returns its values in short: the least and the greatest number, or some texts."""
        if self.numbers > _MOSTLY * self.present and not self.uses[0].endswith(" id"):
            return f"{self.least:.12g} to {self.greatest:.12g}"
        texts = [_printable(shortened(text)[:24]) for text in list(self.distinct)[:EXAMPLES]]
        return ", ".join(texts) + (", ..." if len(self.distinct) > EXAMPLES else "")

    def remarks(self) -> Iterator[str]:
        """Returns what to look at, as text that follows the column's name."""
        if self.several and self.kind not in ("multi_valued", "text") and not self.uses[0].endswith(" id"):
            kind = ": `kind: multi_valued`?" if self.kind == "categorical" else ""
            yield f"holds lists of several values in {self.several:,} rows, and the first value alone is read{kind}"
        if self.rows and not self.present:
            yield "is empty"
        elif self.present > 1 and len(self.distinct) == 1 and not self.missing:
            yield f"is always {shortened(next(iter(self.distinct)))!r}"
        elif self.kind == "multi_valued":
            yield from self._separator_remarks()
        elif self.kind == "categorical":
            yield from self._category_remarks()

    def _separator_remarks(self) -> Iterator[str]:
        number, first = self.brackets
        if number > _MANY * self.present:
            found = shortened(first)
            yield f"holds {found!r} and the like, which are not lists in JSON or Python: brackets become values"
        if self.separated and self.separator in _SEPARATORS and not self.separated[self.separator]:
            other, number = self.separated.most_common(1)[0]
            if number > _MANY * self.present:
                yield f"holds no {self.separator!r}, and {other!r} in {number:,} of {self.present:,} rows: `separator`?"

    def _category_remarks(self) -> Iterator[str]:
        number, first = self.cells
        if number > _MANY * self.present:
            yield f"is `categorical` and holds lists such as {shortened(first)!r}: `kind: multi_valued`?"
        elif self.separated["|"] > _MANY * self.present:
            yield f"is `categorical` and holds '|' in {self.separated['|']:,} rows: `kind: multi_valued`?"
        elif self.fractions > _MANY * self.present:
            yield f"is `categorical` and holds numbers from {self.least:g} to {self.greatest:g}: `kind: numeric`?"
        elif self.present >= _ID_LIKE and len(self.distinct) == self.present:
            yield "is `categorical` and has another value in every row, as an id has"


def _and_first(found: tuple[int, str], more: pa.Array) -> tuple[int, str]:
    """Returns the number of texts and the first of them, with more texts added."""
    number, first = found
    return number + len(more), first or (more[0].as_py() if len(more) else "")


def _printable(text: str) -> str:
    """Returns the text with escapes for what a terminal does not show."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def profiles_of(plan: Plan, table: str) -> list[Profile]:
    """Returns an empty profile for each configured column of a table, `interactions`, `items` or `users`."""
    profiles: dict[str, Profile] = {}
    for use in column_uses(plan.config, table):
        profile = profiles.setdefault(use.column, Profile(use.column, ()))
        profile.uses += (use.role,)
        profile.kind, profile.separator = profile.kind or use.kind, profile.separator or use.separator
    return list(profiles.values())
