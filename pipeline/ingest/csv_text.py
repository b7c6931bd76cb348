"""CSV files as Arrow and Python read them: separators of one character, and the lines that hold the rows."""

import csv
import io
import re
import sys
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from config.data import Table
from pipeline.ingest.encodings import as_utf8, rewritten
from pipeline.ingest.tables import TableError, open_file, shown

_COUNTED_PART: Final = 1 << 17
"""Bytes whose lines are counted at a time: what fits a processor's cache is counted in half the time."""
_UNIT_SEPARATOR: Final = "\x1f"
"""Stands in for a separator that is not one ASCII character."""
_ESCAPED: Final = {b"n": b" ", b"r": b" ", b"t": b"\t", b"N": rb"\\N", b"0": b""}
"""What databases write after a backslash that does not mean the plain letter; a value may hold no line end here."""
_ESCAPE: Final = re.compile(rb"\\(?:([nrtN0])|.)", re.DOTALL)
csv.field_size_limit(sys.maxsize)  # Arrow has no limit of its own


class SeparatorError(ValueError):
    """A file cannot be split at a separator of several characters."""


def _has_plain_separator(table: Table) -> bool:
    """Returns whether Arrow and Python know the separator as it is."""
    return len(table.delimiter) == 1 and table.delimiter.isascii()


def one_character(table: Table) -> str:
    """Returns the separator in the bytes of `plain_csv`."""
    return table.delimiter if _has_plain_separator(table) else _UNIT_SEPARATOR


def plain_csv(file: BinaryIO, table: Table) -> BinaryIO:
    """Returns a UTF-8 file with separators of one character and backslash escapes resolved."""
    has_plain_separator, has_backslashes = _has_plain_separator(table), table.escape == "\\"
    if has_plain_separator and not has_backslashes:
        return file
    separator = b"" if has_plain_separator else table.delimiter.encode()
    held = b""

    def rewrite(data: bytes, is_last: bool) -> bytes:
        nonlocal held
        data = held + data
        size = len(data) - (0 if is_last else _unfinished(data, separator, has_backslashes))
        data, held = data[:size], data[size:]
        if has_backslashes and b"\\" in data:
            data = _ESCAPE.sub(lambda found: _ESCAPED[found[1]] if found[1] else found[0], data)
        if separator:
            if _UNIT_SEPARATOR.encode() in data:
                raise SeparatorError("holds the character U+001F, so `separator` should be one ASCII character")
            data = data.replace(separator, _UNIT_SEPARATOR.encode())
        return data

    return rewritten(file, rewrite)


def _unfinished(data: bytes, separator: bytes, has_backslashes: bool) -> int:
    """Returns how many bytes at the end may begin a separator or an escape."""
    if has_backslashes and (len(data) - len(data.rstrip(b"\\"))) % 2:
        return 1
    if not separator or (data.endswith(separator) and len(set(separator)) > 1):
        return 0
    if len(set(separator)) == 1:  # of "::" the last byte of "a:::" begins a separator, that of "a::" ends one
        return (len(data) - len(data.rstrip(separator[:1]))) % len(separator)
    return next((size for size in range(len(separator) - 1, 0, -1) if data.endswith(separator[:size])), 0)


def with_separators(values: pa.Table, table: Table) -> pa.Table:
    """Returns values read from `plain_csv` with the table's separators restored between quotes."""
    if _has_plain_separator(table):
        return values
    restored = [pc.replace_substring(column, _UNIT_SEPARATOR, table.delimiter) for column in values.columns]
    return pa.table(restored, names=values.column_names)


def csv_lines(file: BinaryIO, table: Table, errors: str = "strict") -> TextIO:
    """Returns the lines of a CSV file with their ends."""
    return io.TextIOWrapper(plain_csv(as_utf8(file, table, errors), table), "utf-8", errors, newline="")


def csv_rows(lines: Iterable[str], table: Table) -> Iterator[list[str]]:
    """Returns the values of each row of `csv_lines`, split as Arrow splits them. Raises `csv.Error`."""
    rows = csv.reader(
        lines,
        delimiter=one_character(table),
        quotechar=table.quote,
        quoting=csv.QUOTE_MINIMAL if table.quote else csv.QUOTE_NONE,
        escapechar=table.escape,
    )
    if _has_plain_separator(table):
        return rows
    return ([value.replace(_UNIT_SEPARATOR, table.delimiter) for value in row] for row in rows)


class CountedLines:
    """A binary file for Arrow to read, whose lines are counted on the way.

    A quote opens at the start of a value and takes everything up to the next quote, rows included; to Arrow that is one
    long value. A file with fewer rows than lines shows it.

    Args:
      file: The file.
      pattern: Bytes to look for, one or two.

    Attributes:
      has_pattern: Whether the pattern was found.
      count: The number of lines begun that are not blank; lines end in LF, CRLF or CR.
      last: The bytes so far of the last of them, with its end.
    """

    def __init__(self, file: BinaryIO, pattern: bytes) -> None:
        self._file = file
        self._pattern, self._before = pattern, b""
        self.has_pattern = False
        self._at_start = True
        self._ends = 0
        self._bytes_of_end = 1
        self.count = 0
        self.last = b""

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return self._file.closed

    @property
    def has_blank(self) -> bool:
        """Whether there was a blank line so far, so that a row's index does not give its line."""
        return self._ends > (self.count - (not self._at_start)) * self._bytes_of_end

    def read(self, size: int = -1) -> bytes:
        """Returns the next bytes."""
        block = self._file.read(size)
        self.has_pattern = self.has_pattern or self._pattern in block or self._pattern in self._before + block[:1]
        self._before = block[-1:]
        if has_returns := b"\r" in block:
            self._bytes_of_end = 2
        data = np.frombuffer(block, np.uint8)
        for begin in range(0, len(data), _COUNTED_PART):
            part = data[begin : begin + _COUNTED_PART]
            is_end = part == ord("\n") if not has_returns else (part == ord("\n")) | (part == ord("\r"))
            # A line begins where a byte that ends none follows one that does.
            self.count += int(np.count_nonzero(is_end[:-1] > is_end[1:])) + int(self._at_start and not is_end[0])
            self._ends += int(np.count_nonzero(is_end))
            self._at_start = bool(is_end[-1])
        self._keep_last(block)
        return block

    def _keep_last(self, block: bytes) -> None:
        end = len(block.rstrip(b"\r\n"))
        begin = max(block.rfind(b"\n", 0, end), block.rfind(b"\r", 0, end)) + 1
        is_new = begin or (end and self.last.endswith((b"\n", b"\r")))
        self.last = block[begin:] if is_new else self.last + block

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def is_open(value: str) -> bool:
    """Returns whether the last value of a line holds the line's end: its quote is not closed in the line."""
    return value.endswith(("\n", "\r"))


def leaves_open(line: bytes, table: Table) -> bool:
    """Returns whether a quote is not closed in a line of `plain_csv`."""
    if table.quote is None or table.quote.encode() not in line:
        return False
    return is_open(next(csv_rows([line.decode("utf-8", "replace")], table))[-1])


def open_quote(path: str, line: int, column: str, value: str, table: Table) -> TableError:
    """Returns the error for a quote that is not closed in its line."""
    escaped = '; where a backslash stands before quotes in a value, `escape: "\\\\"`' if "\\" in value else ""
    found = shown(repr(value.rstrip()[:40]), table)
    return TableError(
        f"{path}, line {line}: a quote in {column} is not closed in its line: {found}. "
        f"Where values may span lines, set the table's `multiline: true`; where quotes are plain text, `quote: null`"
        f"{escaped}"
    )


def check_quotes(path: str, table: Table) -> None:
    """Raises `TableError` for the first value that spans lines, where the table does not allow it.

    It reads the file again, line by line, and is meant for a file with fewer rows than lines.
    """
    if table.multiline or table.quote is None:
        return
    columns = table.columns
    with open_file(path) as file:
        for number, line in enumerate(csv_lines(file, table, "replace"), start=1):
            if columns is None and line.strip("\r\n"):
                columns = tuple(next(csv_rows([line], table)))
            elif table.quote in line:
                values = next(csv_rows([line], table))
                if is_open(values[-1]):
                    index = len(values) - 1
                    known = columns is not None and index < len(columns)
                    name = f"column {columns[index]!r}" if columns and known else f"value {index + 1}"
                    raise open_quote(path, number, name, values[-1], table)


def check_escapes(path: str, table: Table) -> None:
    """Raises `TableError` for the first quote after a backslash that does not end its value.

    It reads the file again, line by line, and is meant for a file that holds a backslash before a quote, of a table
    without `escape`.
    """
    quote, separator = re.escape(table.quote or ""), re.escape(one_character(table))
    # A value that begins with a quote, and after a backslash a quote that is neither doubled nor the value's end.
    escaped = re.compile(
        rf"(?:^|{separator}){quote}(?:[^{quote}]|{quote}{quote})*?\\{quote}(?!{quote}|{separator}|\s*$)"
    )
    with open_file(path) as file:
        for number, line in enumerate(csv_lines(file, table, "replace"), start=1):
            if escaped.search(line):
                found = shown(repr(line.strip()[:60]), table)
                raise TableError(
                    f"{path}, line {number}: a backslash stands before a quote in a value: {found}. "
                    'Where it makes the quote plain text, set the table\'s `escape: "\\\\"`'
                )
