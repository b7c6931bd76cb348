"""Bundles of lines: what one worker reads of a large CSV file, and where its rows are in the file."""

import bisect
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import BinaryIO, Final, NamedTuple, cast

from config.data import Table
from pipeline.ingest.findings import Extent, Sample
from pipeline.ingest.tables import open_file

_SEARCHED: Final = 1 << 16
"""Bytes that are searched for a line's end at a time."""


class Bundle(NamedTuple):
    """A file of a table, or some of the lines of one that stand side by side.

    Attributes:
      path: The file.
      start: The bundle's lines begin at this byte or after it.
      end: And before this byte; None: up to the end of the file.
    """

    path: str
    start: int = 0
    end: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole file."""
        return self.start == 0 and self.end is None


def open_bundle(bundle: Bundle, table: Table) -> BinaryIO:
    """Opens the bytes of a bundle's lines; none where no line begins in it. Raises `TableError`."""
    file = open_file(bundle.path)
    if bundle.is_whole:
        return file
    start = _line_start(file, bundle.start, table)
    end = None if bundle.end is None else _line_start(file, bundle.end, table)
    file.seek(start)
    return cast(BinaryIO, io.BufferedReader(_Part(file, None if end is None else end - start), _SEARCHED))


def _line_start(file: BinaryIO, position: int, table: Table) -> int:
    """Returns where the first line begins at a byte or after it; the size of the file where none does.

    A line ends in a line feed that is not escaped: then it ends whether or not the lines before it are read.
    """
    if position == 0:
        return 0
    escape = (table.escape or "").encode()
    offset = max(position - 2, 0)  # the line feed may be just before the position, the escape before that
    file.seek(offset)
    first, data = position - 1 - offset, file.read(_SEARCHED)
    while data:
        found = data.find(b"\n", first)
        while found >= 0 and escape and data[found - 1 : found] == escape:
            found = data.find(b"\n", found + 1)
        if found >= 0:
            return offset + found + 1
        offset, first = offset + len(data) - 1, 1  # the last byte again, which may be an escape
        data = data[-1:] + part if (part := file.read(_SEARCHED)) else b""
    return file.seek(0, io.SEEK_END)


class _Part(io.RawIOBase):
    """The next bytes of a file, as many as given; None: all."""

    def __init__(self, file: BinaryIO, size: int | None) -> None:
        super().__init__()
        self._file, self._left = file, size

    def readable(self) -> bool:
        """Returns True."""
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """Fills the buffer and returns the number of bytes."""
        size = len(buffer) if self._left is None else min(len(buffer), self._left)
        data = self._file.read(size)
        buffer[: len(data)] = data
        if self._left is not None:
            self._left -= len(data)
        return len(data)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
        super().close()


def in_files(samples: Iterable[Sample], bundles: Sequence[Bundle], extents: Mapping[int, Extent]) -> list[Sample]:
    """Returns bad rows of bundles as rows of files: `row` and `line` are counted from the file's start.

    `line` is None where it is not known, or a bundle before it has blank lines.

    Args:
      samples: The rows; `file`, `row` and `line` are of a bundle.
      bundles: All bundles of the table, in the order of their rows.
      extents: How much each bundle holds, by its index.
    """
    first = [index for index, bundle in enumerate(bundles) if bundle.start == 0]
    located = []
    for sample in samples:
        file = bisect.bisect(first, sample.file) - 1
        before = [extents[index] for index in range(first[file], sample.file)]
        line = sample.line
        for extent in before:
            line = None if line is None or extent.lines is None else line + extent.lines
        row = sample.row + sum(extent.rows for extent in before)
        located.append(sample._replace(file=file, row=row, line=line))
    return located
