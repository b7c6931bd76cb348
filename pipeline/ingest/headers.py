"""Which columns a table's files have, and what their first rows tell: a header that is none, lines of other lengths."""

import csv
import gzip
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, Final

import pyarrow.parquet as pq

from config.data import Table
from pipeline.ingest.dialect import SeparatorError, csv_lines, csv_rows, one_character
from pipeline.ingest.json_rows import JsonError, json_values
from pipeline.ingest.literals import ListError
from pipeline.ingest.tables import (
    TableError,
    broken_gzip,
    file_size,
    open_file,
    partitions,
    table_files,
    table_format,
    undecodable,
)

HEADER_ROWS: Final = 1000
"""Formats without a header: the columns are those that so many first rows have."""
_COMPARED_ROWS: Final = 20
"""Rows whose number of values is compared with the header's before any work."""
_DATA: Final = re.compile(r"\s*[-+]?\d[\d.,:/T+-]*\s*")
"""A number or a time: no name of a column."""
_SEPARATORS: Final = {"\t": r'"\t"', ";": '";"', "::": '"::"', "|": '"|"', ",": '","', " ": '" "'}


def column_names(folder: str, table: Table) -> list[str]:
    """The table's columns in their order, from the first rows of its first file.

    JSON lines and TFRecord have no header: there it is every name that occurs in the first `HEADER_ROWS` rows. The
    columns that a file's folders name, as in `date=2024-05-01`, stand at the end.

    Raises:
      TableError: If there is no such file, or it is not what format and encoding say.
    """
    return file_columns(table_files(folder, table)[0], table)


def file_columns(path: str, table: Table) -> list[str]:
    """The columns of one of the table's files, as `column_names`. A CSV file's first rows should fit them."""
    columns = header(path, table)
    if table_format(table, path) == "csv":
        _check_first_rows(path, table, len(columns))
    return with_folders(path, columns)


def with_folders(path: str, columns: Sequence[str]) -> list[str]:
    """The columns, and those that the file's folders name."""
    return [*columns, *(name for name in partitions(path) if name not in columns)]


def header(path: str, table: Table) -> list[str]:
    """The columns in one of the table's files itself. Raises `TableError`, as `column_names`."""
    kind = table_format(table, path)
    if table.columns is not None and kind != "csv":
        raise TableError(
            f"{path}: is {kind}, which names its columns itself. `columns` is for CSV files without header"
        )
    with open_file(path) as file, readable(path, table):
        columns = _COLUMNS[kind](path, file, table)
    if not columns:
        raise TableError(f"{path}: {'has no rows' if file_size(path) else 'is empty'}")
    return columns


def check_rows(paths: Sequence[str], table: Table) -> None:
    """Raises `TableError` where none of a table's files has a row."""
    for path in paths:
        with open_file(path) as file, readable(path, table):
            if next(_ROWS[table_format(table, path)](path, file, table), None) is not None:
                return
    others = f", nor have its {len(paths) - 1} other files" if len(paths) > 1 else ""
    raise TableError(f"{paths[0]}: has no rows{others}")


def check_columns(path: str, table: Table, wanted: Sequence[str], found: Sequence[str]) -> None:
    """Raises `TableError` for the columns that a file lacks, or has twice."""
    absent = [column for column in wanted if column not in found]
    if absent:
        names = ", ".join(map(repr, absent))
        raise TableError(f"{path}: has no column {names}. {hint(found, table)}Columns: {', '.join(found)}")
    for column in wanted:
        if found.count(column) > 1:
            raise TableError(f"{path}: {twice(column)}")


def twice(column: str) -> str:
    """The words for a column that a header names more than once."""
    return f"the header names the column {column!r} twice, and which is meant is not known. Rename one of them"


def hint(columns: Sequence[str], table: Table) -> str:
    """`The first line looks like data ...` and the like, where a CSV file's columns tell why one is missing; or ``."""
    if table.columns is not None or (table.format or "csv") != "csv":
        return ""
    found = next((mark for mark in _SEPARATORS if mark != table.delimiter and mark in columns[0]), None)
    if len(columns) == 1 and found:
        return f"The first line is one value that holds {_SEPARATORS[found]}: is that the table's `separator`? "
    if columns[0].lstrip().startswith(('{"', '[{"')):
        return "The first line is JSON: is that the table's `format`, `jsonl`? "
    data = [name for name in columns if _DATA.fullmatch(name)]
    if data:
        examples = ", ".join(map(repr, data[:3]))
        return f"The first line looks like data ({examples}): name the columns of a file without header in `columns`. "
    return ""


@contextmanager
def readable(path: str, table: Table) -> Iterator[None]:
    """Makes what goes wrong while a file is read a `TableError` that names it."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError) as error:
        raise broken_gzip(path, error) from error
    except (UnicodeError, LookupError) as error:
        raise undecodable(path, table, str(error)) from error
    except csv.Error as error:
        raise TableError(f"{path}: is not CSV ({error})") from error
    except (SeparatorError, JsonError, ListError) as error:
        raise TableError(f"{path}: {error}") from error


def goes_on(value: str) -> bool:
    """Whether the last value of a line, cut by itself, holds the line's end: its quote is still open there."""
    return value.endswith(("\n", "\r"))


def open_quote(path: str, line: int, column: str, value: str) -> TableError:
    """The error for a quote that is not closed in its line."""
    escaped = '; where a backslash stands before quotes in a value, `escape: "\\\\"`' if "\\" in value else ""
    return TableError(
        f"{path}, line {line}: a quote in {column} is not closed in its line: {value.rstrip()[:40]!r}. "
        f"Where values may span lines, set the table's `multiline: true`; where quotes are plain text, `quote: null`"
        f"{escaped}"
    )


def _csv_columns(path: str, file: BinaryIO, table: Table) -> list[str]:
    lines = itertools.dropwhile(lambda line: not line.strip("\r\n"), csv_lines(file, table))  # as Arrow does
    names = next(csv_rows(lines if table.multiline else itertools.islice(lines, 1), table), [])
    if any("\0" in name for name in names):
        raise _zero_bytes(path)
    if names and names[0].casefold().startswith("sep="):
        raise TableError(f"{path}: its first line, {names[0]!r}, is for Excel alone: remove it, and set `separator`")
    if names and goes_on(names[-1]) and not table.multiline:
        raise open_quote(path, 1, "the header", names[-1])
    if table.columns is None or not names:
        return names
    if _are_alike(names, table.columns):
        raise TableError(f"{path}: its first line is a header. `columns` is for files without one: leave it out")
    return list(table.columns)


def _are_alike(names: Sequence[str], columns: Sequence[str]) -> bool:
    """Whether more than half of the values of a first line are the columns' names, whatever their case."""
    alike = sum(name.strip().casefold() == column.casefold() for name, column in zip(names, columns, strict=False))
    return alike > len(columns) / 2


def _zero_bytes(path: str) -> TableError:
    return TableError(f"{path}: holds zero bytes: is it UTF-16? Then set `encoding: utf-16-le` (or -be)")


def _check_first_rows(path: str, table: Table, width: int) -> None:
    """Raises `TableError` where none of the first rows has as many values as there are columns."""
    with open_file(path) as file, readable(path, table):
        lines = (line for line in csv_lines(file, table) if not line.isspace())
        first = 0 if table.columns is not None else 1
        rows = list(itertools.islice(csv_rows(lines, table), first, _COMPARED_ROWS + 1))
    if not rows or width in map(len, rows):
        return
    names = "the header" if table.columns is None else "`columns`"
    found = f"{path}: line {first + 1} has {len(rows[0])} values, {names} {width}, and so on."
    raise TableError(f"{found} {_why_other_widths(rows, width, table)}".rstrip())


def _why_other_widths(rows: Sequence[Sequence[str]], width: int, table: Table) -> str:
    """What may have made rows of other lengths than the header's; empty where nothing is likely."""
    if {len(row) for row in rows} == {width + 1}:
        if not any(row[-1] for row in rows):
            return f"Do the rows end with {one_character(table)!r}?"
        if table.columns is None:
            return "Do the rows begin with their names or numbers, which the header leaves out? Then write it there"
    text = table.delimiter.join(rows[0])
    others = (mark for mark in _SEPARATORS if mark != table.delimiter and len(text.split(mark)) == width)
    if width > 1 and (mark := next(others, None)):
        return f"Is `separator` {_SEPARATORS[mark]}?"
    if table.columns is None and width <= 2:
        return "Is the first line a header? What stands above it has to go"
    return ""


def _parquet_columns(path: str, file: BinaryIO, table: Table) -> list[str]:
    return list(_parquet(path, file).schema_arrow.names)


def _parquet(path: str, file: BinaryIO) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except (OSError, ValueError) as error:
        raise TableError(f"{path}: is not Parquet ({error})") from error


def _json_columns(path: str, file: BinaryIO, table: Table) -> list[str]:
    found = list(itertools.islice(json_values(file, table), HEADER_ROWS))
    columns = _union(value for value, _, _ in found if isinstance(value, dict))
    if any("\0" in text for _, _, text in found[:1]):
        raise _zero_bytes(path)
    if found and not columns:
        raise TableError(
            f'{path}: holds no object such as {{"user": 1}} in its first {len(found)} rows. '
            f"Line {found[0][1]}: {found[0][2][:80]!r}"
        )
    return columns


def _tfrecord_columns(path: str, file: BinaryIO, table: Table) -> list[str]:
    from pipeline.ingest.tfrecords import feature_names  # needs TensorFlow, which the other formats do without

    return _union(feature_names(path, file, HEADER_ROWS))


def _union(rows: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _csv_body(path: str, file: BinaryIO, table: Table) -> Iterator[object]:
    lines = (line for line in csv_lines(file, table) if not line.isspace())
    return itertools.islice(lines, 0 if table.columns is not None else 1, None)


def _parquet_body(path: str, file: BinaryIO, table: Table) -> Iterator[object]:
    return iter([True] if _parquet(path, file).metadata.num_rows else [])


def _json_body(path: str, file: BinaryIO, table: Table) -> Iterator[object]:
    return iter(json_values(file, table))


def _tfrecord_body(path: str, file: BinaryIO, table: Table) -> Iterator[object]:
    from pipeline.ingest.tfrecords import records

    return records(path, file)


_COLUMNS: Final = {
    "csv": _csv_columns,
    "parquet": _parquet_columns,
    "jsonl": _json_columns,
    "tfrecord": _tfrecord_columns,
}
_ROWS: Final = {"csv": _csv_body, "parquet": _parquet_body, "jsonl": _json_body, "tfrecord": _tfrecord_body}
