"""The lines of a CSV file beside its rows: whether a stray quote took some of them for its text.

A quote opens at the start of a value and takes everything up to the next quote, or the end of the file, rows included.
To Arrow that is one long value. The lines that were read tell: every row is one.
"""

import re
from collections.abc import Iterable
from typing import BinaryIO, Final

import numpy as np

from config.data import Table
from pipeline.ingest.dialect import csv_lines, csv_rows, one_character
from pipeline.ingest.headers import goes_on, header, open_quote
from pipeline.ingest.tables import TableError, open_file

_LF: Final = 10
_CR: Final = 13
_PART: Final = 1 << 17
"""Bytes: what a processor's cache holds is counted in half the time."""


class CountedLines:
    """A binary file for Arrow to read, whose lines are counted on the way.

    Attributes:
      has_digest: Whether the `mark` stands somewhere.
      count: How many lines that are not blank were begun; they end in LF, CRLF or CR.
    """

    def __init__(self, file: BinaryIO, mark: bytes = b"\n") -> None:
        self._file = file
        self._mark, self._before = mark, b""
        self.has_digest = False
        self._at_start = True
        self._ends = 0
        self._bytes_of_end = 1
        self.count = 0

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return self._file.closed

    @property
    def has_blank(self) -> bool:
        """Whether there was a blank line so far, so that the position of a row tells nothing of its line."""
        return self._ends > (self.count - (not self._at_start)) * self._bytes_of_end

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        block = self._file.read(size)
        self.has_digest = self.has_digest or self._mark in block or self._mark in self._before + block[:1]
        self._before = block[-1:]
        if has_returns := b"\r" in block:
            self._bytes_of_end = 2
        data = np.frombuffer(block, np.uint8)
        for begin in range(0, len(data), _PART):
            part = data[begin : begin + _PART]
            self._count_in(part == _LF if not has_returns else (part == _LF) | (part == _CR))
        return block

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _count_in(self, is_end: np.ndarray) -> None:
        """A line begins where a byte that ends none follows one that does."""
        self.count += int(np.count_nonzero(is_end[:-1] > is_end[1:])) + int(self._at_start and not is_end[0])
        self._ends += int(np.count_nonzero(is_end))
        self._at_start = bool(is_end[-1])


def check_quotes(path: str, table: Table) -> None:
    """Raises `TableError` for the first value that goes on in the next line, where the table allows none.

    It reads the file once more, line by line: for a file whose rows are fewer than its lines.
    """
    if table.multiline or table.quote is None:
        return
    with open_file(path) as file:
        found = _first_open(csv_lines(file, table, "replace"), table, table.quote)
    if found is not None:
        line, position, value = found
        columns = header(path, table)
        column = f"column {columns[position]!r}" if position < len(columns) else f"value {position + 1}"
        raise open_quote(path, line, column, value)


def check_escapes(path: str, table: Table) -> None:
    """Raises `TableError` for the first quote behind a backslash that ends no value, where the table has no `escape`.

    It reads the file once more, line by line: for a file that holds a backslash before a quote.
    """
    quote, separator = re.escape(table.quote or ""), re.escape(one_character(table))
    # A value that begins with a quote, and after a backslash a quote that is neither doubled nor the value's end.
    escaped = re.compile(
        rf"(?:^|{separator}){quote}(?:[^{quote}]|{quote}{quote})*?\\{quote}(?!{quote}|{separator}|\s*$)"
    )
    with open_file(path) as file:
        for number, line in enumerate(csv_lines(file, table, "replace"), start=1):
            if escaped.search(line):
                raise TableError(
                    f"{path}, line {number}: a backslash stands before a quote in a value: {line.strip()[:60]!r}. "
                    'Where it makes the quote plain text, set the table\'s `escape: "\\\\"`'
                )


def _first_open(lines: Iterable[str], table: Table, quote: str) -> tuple[int, int, str] | None:
    """The line, position in it and text of the first value whose quote its line does not close."""
    for number, line in enumerate(lines, start=1):
        if quote in line:
            values = next(csv_rows([line], table))
            if goes_on(values[-1]):
                return number, len(values) - 1, values[-1]
    return None
