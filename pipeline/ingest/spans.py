"""The spans of a table: files numbered by day or by delivery, of which a run reads the newest, or a window of them."""

import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Final

PLACEHOLDER: Final = re.compile(r"\{(SPAN|VERSION|YYYY|MM|DD)(?::(\d+))?\}")
"""As TFX defines them: a number in a path, `{SPAN:3}` with a fixed width. `{YYYY}{MM}{DD}` is a span by date."""
_DATE_WIDTHS: Final = {"YYYY": "4", "MM": "2", "DD": "2"}
_EPOCH: Final = date(1970, 1, 1)
_MOST_NAMED: Final = 10
"""The number of spans that a message lists."""

Span = int | date
"""A number in place of `{SPAN}`, or a date in place of `{YYYY}`, `{MM}` and `{DD}`."""


class SpanError(ValueError):
    """The spans that are wanted are not there."""


@dataclass(frozen=True)
class SpanPattern:
    """A path in which `{SPAN}` or a date, and optionally `{VERSION}`, stand for numbers.

    Attributes:
      text: The path, such as `day-{SPAN}/*.csv`.
    """

    text: str

    @property
    def has_span(self) -> bool:
        """Whether the path has a span; if not, it has versions alone."""
        return any(part[1] != "VERSION" for part in PLACEHOLDER.finditer(self.text))

    @property
    def is_dated(self) -> bool:
        """Whether spans are dates."""
        return "{YYYY}" in self.text

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        parts, last, seen = [], 0, set()
        for part in PLACEHOLDER.finditer(self.text):
            width = _DATE_WIDTHS.get(part[1]) or part[2]
            digits = rf"\d{{{width}}}" if width else r"\d+"
            # A placeholder that is repeated has the same number.
            number = f"(?P={part[1]})" if part[1] in seen else f"(?P<{part[1]}>{digits})"
            parts += [_glob_as_regex(self.text[last : part.start()]), number]
            seen.add(part[1])
            last = part.end()
        return re.compile("".join([*parts, _glob_as_regex(self.text[last:])]))

    def numbers(self, path: str) -> tuple[int, int] | None:
        """Returns the span and the version in a path; None if it does not fit.

        Spans by date are numbered by TFX's rule, the days since 1970-01-01. What the path lacks is 0.
        """
        found = self._expression.fullmatch(path)
        if found is None:
            return None
        parts = {name: int(number) for name, number in found.groupdict().items()}
        try:
            day = date(parts["YYYY"], parts.get("MM", 1), parts.get("DD", 1)) if "YYYY" in parts else _EPOCH
        except ValueError:  # numbers of a date's form that are none
            return None
        return parts.get("SPAN", (day - _EPOCH).days), parts.get("VERSION", 0)

    def number_of(self, span: Span) -> int:
        """Returns the number of a span that a person names. Raises `SpanError` for one of the other kind."""
        if self.is_dated == isinstance(span, date):
            return (span - _EPOCH).days if isinstance(span, date) else span
        wanted = "a date such as 2026-05-31" if self.is_dated else "a number"
        raise SpanError(f"the span should be {wanted}, as the path is {self.text!r}. Received: {span}")

    def span_of(self, number: int) -> Span:
        """Returns the span with a number: the reverse of `number_of`."""
        return date.fromordinal(_EPOCH.toordinal() + number) if self.is_dated else number


@dataclass(frozen=True)
class SpanFiles:
    """The files of those spans of a table that are read.

    Attributes:
      pattern: The path of the table.
      paths: In the order of spans, and by name in each.
      read: The numbers of the spans, ascending.
      older: The numbers of the spans before them, which are not read.
    """

    pattern: SpanPattern
    paths: Sequence[str]
    read: Sequence[int]
    older: Sequence[int]

    @property
    def last(self) -> Span | None:
        """The last span; None where there is none."""
        return self.pattern.span_of(self.read[-1]) if self.read and self.pattern.has_span else None

    @property
    def missing(self) -> list[int]:
        """The numbers between the first and the last span read of which there is no file."""
        return sorted(set(range(self.read[0], self.read[-1] + 1)) - set(self.read))

    def as_json(self) -> dict[str, str | int | list[str]]:
        """Returns the names of the first and the last span, and of those that are missing or older; `reach` is the
        window that would hold the older ones too."""
        return {
            "first": self._names(self.read[:1])[0],
            "last": self._names(self.read[-1:])[0],
            "missing": self._names(self.missing),
            "older": self._names(self.older),
            "reach": self.read[-1] - min([*self.older, self.read[0]]) + 1,
        }

    def _names(self, numbers: Sequence[int]) -> list[str]:
        return [str(self.pattern.span_of(number)) for number in numbers]


def find_spans(
    folder: str,
    pattern: str,
    paths: Iterable[str],
    last: Span | None = None,
    window: int | None = None,
    may_be_earlier: bool = False,
) -> SpanFiles:
    """Selects the paths of the last spans, of each its newest version.

    For example, of `day-{SPAN}/*.csv` and the files day-7/a.csv, day-10/a.csv and day-10/b.csv, the last two are read
    without a window, and all with a window of 4.

    Args:
      folder: The folder of the paths; empty for absolute ones.
      pattern: The path of the table inside the folder.
      paths: Paths that match with any text in place of the numbers.
      last: The last span to read. None: the newest.
      window: How many numbers or days back from the last one are read, itself included. None: the last span alone.
      may_be_earlier: Whether the newest span before `last` is read where that is not there.

    Raises:
      SpanError: If the last span is not there.
    """
    form, base = SpanPattern(pattern), posixpath.join(folder, "")
    numbered = [(found, path) for path in paths if (found := form.numbers(path.removeprefix(base)))]
    newest = dict(sorted(found for found, _ in numbered))
    if not newest:
        return SpanFiles(form, (), (), ())
    end = max(newest) if last is None or not form.has_span else form.number_of(last)
    if may_be_earlier:
        end = max((span for span in newest if span <= end), default=end)
    if end not in newest:
        there = listed([str(form.span_of(span)) for span in newest])
        raise SpanError(f"there is no span {form.span_of(end)}. Found: {there}")
    first = end - (window or 1) + 1
    read = [span for span in newest if first <= span <= end]
    kept = [(span, path) for (span, version), path in numbered if span in read and version == newest[span]]
    return SpanFiles(form, [path for _, path in sorted(kept)], read, [span for span in newest if span < first])


def listed(names: Sequence[str]) -> str:
    """Returns names in one line, with the number of those in the middle where there are many."""
    if len(names) <= _MOST_NAMED:
        return ", ".join(names)
    return f"{', '.join(names[:3])}, ... ({len(names) - 4} more), {names[-1]}"


def _glob_as_regex(glob: str) -> str:
    return re.escape(glob).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
