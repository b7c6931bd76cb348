"""Divides large CSV files into bundles of lines, which workers read side by side."""

import codecs
from collections.abc import Iterable
from typing import Final

from config.data import Table
from pipeline.ingest.bundles import Bundle
from pipeline.ingest.headers import header
from pipeline.ingest.missing import float_ids
from pipeline.ingest.reading import BundleReader
from pipeline.ingest.tables import TableError, file_size, open_file, table_format

BUNDLE_BYTES: Final = 1 << 26
"""A CSV file with more bytes is divided."""
_FIRST_BYTES: Final = 1 << 20
_BYTE_LINE_ENDS: Final = ("utf-8", "ascii", "iso8859", "cp125", "koi8", "mac", "gbk", "gb2312", "big5", "euc", "shift")
"""The beginnings of the names of encodings in which the byte of a line feed is nothing else."""
_WIDE_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


def divided(paths: Iterable[str], table: Table) -> list[Bundle]:
    """Returns a table's files in bundles of at most `BUNDLE_BYTES` and a line, in the order of their rows.

    A file stays one bundle if it is small, compressed or not CSV; if a line's end may be a part of a value
    (`multiline`), or of a character; or if the ids in its first rows are written as floats, since all rows of the file
    decide how these are read (see `float_ids`).
    """
    return [bundle for path in paths for bundle in _divided(path, table)]


def _divided(path: str, table: Table) -> list[Bundle]:
    size = file_size(path)
    if size <= BUNDLE_BYTES or not _ends_lines_by_bytes(path, table) or _may_have_float_ids(path, size, table):
        return [Bundle(path)]
    count = -(-size // BUNDLE_BYTES)
    starts = [size * number // count for number in range(count)]
    return [Bundle(path, start, end) for start, end in zip(starts, [*starts[1:], None], strict=True)]


def _ends_lines_by_bytes(path: str, table: Table) -> bool:
    """Returns whether a line feed among the file's bytes ends a line."""
    if table_format(table, path) != "csv" or table.multiline or path.lower().endswith(".gz"):
        return False
    try:
        name = codecs.lookup(table.encoding).name
        with open_file(path) as file:
            is_marked = file.read(4).startswith(_WIDE_MARKS)
    except (LookupError, TableError):
        return False
    return name.startswith(_BYTE_LINE_ENDS) and not is_marked


def _may_have_float_ids(path: str, size: int, table: Table) -> bool:
    """Returns whether the first rows hold no id in another form than a float's, or cannot be read."""
    try:
        ids = [name for name in table.ids if name in header(path, table)]
        first = next(iter(BundleReader(Bundle(path, 0, min(_FIRST_BYTES, size)), table, ids)), None) if ids else None
    except TableError:
        return True
    return first is None or bool(float_ids(table, first.rows, lambda ids: ()))
