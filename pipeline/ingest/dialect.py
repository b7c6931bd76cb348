"""How a table writes CSV: separators of several characters and escapes, as one character for Arrow and Python."""

import csv
import io
import re
import sys
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final, TextIO, cast

import pyarrow as pa
import pyarrow.compute as pc

from config.data import Table
from pipeline.ingest.encodings import as_utf8

_STAND_IN: Final = "\x1f"
"""ASCII's unit separator, for one that is not one ASCII character."""
_ESCAPED: Final = {b"n": b" ", b"r": b" ", b"t": b"\t", b"N": rb"\\N", b"0": b""}
"""What databases write after a backslash and mean no plain letter; a value may hold no line end here."""
_ESCAPE: Final = re.compile(rb"\\(?:([nrtN0])|.)", re.DOTALL)


class SeparatorError(ValueError):
    """A file cannot be cut at separators of several characters."""


_PART: Final = 1 << 20
"""Bytes read at a time."""
csv.field_size_limit(sys.maxsize)  # Arrow has no limit of its own


def has_plain_separator(table: Table) -> bool:
    """Whether the separator is one that Arrow and Python know."""
    return len(table.delimiter) == 1 and table.delimiter.isascii()


def one_character(table: Table) -> str:
    """The separator of the bytes that `plain_csv` yields."""
    return table.delimiter if has_plain_separator(table) else _STAND_IN


def csv_lines(file: BinaryIO, table: Table, errors: str = "strict") -> TextIO:
    """The lines of a CSV file with their ends."""
    return io.TextIOWrapper(plain_csv(as_utf8(file, table, errors), table), "utf-8", errors, newline="")


def csv_rows(lines: Iterable[str], table: Table) -> Iterator[list[str]]:
    """The values of each row of `csv_lines`, cut as Arrow split_times them. Raises `csv.Error`."""
    rows = csv.reader(
        lines,
        delimiter=one_character(table),
        quotechar=table.quote,
        quoting=csv.QUOTE_MINIMAL if table.quote else csv.QUOTE_NONE,
        escapechar=table.escape,
    )
    if has_plain_separator(table):
        return rows
    return ([value.replace(_STAND_IN, table.delimiter) for value in row] for row in rows)


def with_separators(values: pa.Table, table: Table) -> pa.Table:
    """The values with the separators that stood between quotes."""
    if has_plain_separator(table):
        return values
    restored = [pc.replace_substring(column, _STAND_IN, table.delimiter) for column in values.columns]
    return pa.table(restored, names=values.column_names)


def plain_csv(file: BinaryIO, table: Table) -> BinaryIO:
    """The file (UTF-8) with separators of one character, and with escapes that stand for themselves."""
    if has_plain_separator(table) and table.escape != "\\":
        return file
    return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, _Plain(file, table)), _PART))


class _Plain(io.RawIOBase):
    def __init__(self, file: BinaryIO, table: Table) -> None:
        super().__init__()
        self._file = file
        self._separator = b"" if has_plain_separator(table) else table.delimiter.encode()
        self._has_backslashes = table.escape == "\\"
        self._held, self._left = b"", b""

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """Fills the buffer; the number of bytes."""
        while not self._left:
            part = self._file.read(_PART)
            self._left, self._held = self._replaced(self._held + part, is_last=not part)
            if not part:
                break
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size

    def _replaced(self, data: bytes, is_last: bool) -> tuple[bytes, bytes]:
        """What can be passed on, and what the next bytes may belong to."""
        held = 0 if is_last else self._unfinished(data)
        data, rest = data[: len(data) - held], data[len(data) - held :]
        if self._has_backslashes and b"\\" in data:
            data = _ESCAPE.sub(lambda found: _ESCAPED[found[1]] if found[1] else found[0], data)
        if self._separator:
            if _STAND_IN.encode() in data:
                raise SeparatorError("holds the character U+001F, so `separator` should be one ASCII character")
            data = data.replace(self._separator, _STAND_IN.encode())
        return data, rest

    def _unfinished(self, data: bytes) -> int:
        """How many bytes at the end may begin a separator or an escape."""
        if self._has_backslashes and (len(data) - len(data.rstrip(b"\\"))) % 2:
            return 1
        separator = self._separator
        if not separator or (data.endswith(separator) and len(set(separator)) > 1):
            return 0
        if len(set(separator)) == 1:  # of "::" the last byte of "a:::" begins a separator, that of "a::" ends one
            return (len(data) - len(data.rstrip(separator[:1]))) % len(separator)
        return next((size for size in range(len(separator) - 1, 0, -1) if data.endswith(separator[:size])), 0)
