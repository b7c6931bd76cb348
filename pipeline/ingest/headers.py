"""Which columns a table's files have, and whether their first rows fit them."""

import csv
import gzip
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from config.data import Table
from pipeline.ingest.csv_text import SeparatorError, csv_lines, csv_rows, is_open, one_character, open_quote
from pipeline.ingest.literals import ListError
from pipeline.ingest.records import JsonError, example_features, json_values, tfrecords
from pipeline.ingest.tables import TableError, file_size, open_file, partitions, shown, table_format

HEADER_ROWS: Final = 1000
"""Formats without a header have the columns of so many first rows."""
_COMPARED_ROWS: Final = 20
"""Rows whose number of values is compared with the header's."""
_DATA: Final = re.compile(r"\s*[-+]?\d[\d.,:/T+-]*\s*")
"""A number or a time, which is not the name of a column."""
_SEPARATORS: Final = {"\t": r'"\t"', ";": '";"', "::": '"::"', "|": '"|"', ",": '","', " ": '" "'}
_MAGIC_BYTES: Final = {
    b"\x1f\x8b": "compressed with gzip: its name should end in .gz",
    b"PAR1": "Parquet: set `format: parquet`",
    b"PK\x03\x04": "a ZIP archive or a spreadsheet: unpack it, or save the sheet as CSV",
    b"BZh": "compressed with bzip2: unpack it, or compress it with gzip",
    b"\xfd7zXZ": "compressed with xz: unpack it, or compress it with gzip",
    b"\x28\xb5\x2f\xfd": "compressed with Zstandard: unpack it, or compress it with gzip",
}


@contextmanager
def table_errors(path: str, table: Table) -> Iterator[None]:
    """Turns the errors of reading a file into a `TableError` that names the file."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError) as error:
        raise TableError(f"{path}: is not a whole gzip file ({error})") from error
    except (pa.ArrowException, OSError) as error:
        if "UTF8" in str(error):
            raise _undecodable(path, table, error) from error
        raise TableError(
            f"{path}: cannot be read as {table_format(table, path)} ({shown(str(error), table)})"
        ) from error
    except (UnicodeError, LookupError) as error:
        raise _undecodable(path, table, error) from error
    except csv.Error as error:
        raise TableError(f"{path}: is not CSV ({shown(str(error), table)})") from error
    except (SeparatorError, JsonError, ListError) as error:
        raise TableError(f"{path}: {shown(str(error), table)}") from error


def _undecodable(path: str, table: Table, error: Exception) -> TableError:
    with open_file(path) as file:
        head = file.read(8)
    for magic, found in _MAGIC_BYTES.items():
        if head.startswith(magic):
            return TableError(f"{path}: is not text but {found}")
    return TableError(f"{path}: is not {table.encoding} text ({error}). Set the table's `encoding`")


def file_columns(path: str, table: Table) -> list[str]:
    """Returns the columns of one of the table's files in their order, those that its folders name at the end.

    JSON and TFRecord have no header: their columns are the names in the first `HEADER_ROWS` rows.

    Raises:
      TableError: If the file is not of its format and encoding, or the first rows of a CSV file do not fit its header.
    """
    columns = header(path, table)
    if table_format(table, path) == "csv":
        _check_first_rows(path, table, len(columns))
    return with_folders(path, columns)


def with_folders(path: str, columns: Sequence[str]) -> list[str]:
    """Returns the columns, and those that the file's folders name, as in `date=2024-05-01`."""
    return [*columns, *(name for name in partitions(path) if name not in columns)]


def header(path: str, table: Table) -> list[str]:
    """Returns the columns in the file itself. Raises `TableError`, as `file_columns`."""
    kind = table_format(table, path)
    if table.columns is not None and kind != "csv":
        raise TableError(
            f"{path}: is {kind}, which names its columns itself. `columns` is for CSV files without header"
        )
    with open_file(path) as file, table_errors(path, table):
        if kind == "csv":
            columns = _csv_columns(path, file, table)
        elif kind == "parquet":
            columns = list(_parquet(path, file).schema_arrow.names)
        elif kind == "jsonl":
            columns = _json_columns(path, file, table)
        else:
            columns = _distinct_names(example_features(path, file, HEADER_ROWS))
    if not columns:
        raise TableError(f"{path}: {'has no rows' if file_size(path) else 'is empty'}")
    return columns


def check_has_rows(paths: Sequence[str], table: Table) -> None:
    """Raises `TableError` where none of a table's files has a row."""
    for path in paths:
        with open_file(path) as file, table_errors(path, table):
            if _has_row(path, file, table):
                return
    others = f", nor have its {len(paths) - 1} other files" if len(paths) > 1 else ""
    raise TableError(f"{paths[0]}: has no rows{others}")


def _has_row(path: str, file: BinaryIO, table: Table) -> bool:
    kind = table_format(table, path)
    if kind == "parquet":
        return _parquet(path, file).metadata.num_rows > 0
    rows: Iterator[object]
    if kind == "csv":
        lines = (line for line in csv_lines(file, table) if not line.isspace())
        rows = itertools.islice(lines, 0 if table.columns is not None else 1, None)
    else:
        rows = json_values(file, table) if kind == "jsonl" else tfrecords(path, file)
    return next(rows, None) is not None


def check_columns(path: str, table: Table, wanted: Sequence[str], found: Sequence[str]) -> None:
    """Raises `TableError` for the columns that a file lacks or has twice."""
    absent = [column for column in wanted if column not in found]
    if absent:
        names = ", ".join(map(repr, absent))
        raise TableError(f"{path}: has no column {names}. {hint(found, table)}Columns: {', '.join(found)}")
    for column in wanted:
        if found.count(column) > 1:
            raise TableError(f"{path}: {duplicate_column(column)}")


def duplicate_column(column: str) -> str:
    """Returns the message for a column that a header names more than once."""
    return f"the header names the column {column!r} twice, so that it is ambiguous. Rename one of them"


def hint(columns: Sequence[str], table: Table) -> str:
    """Returns why a column may be missing, such as "The first line looks like data ..."; empty where not known."""
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


def _csv_columns(path: str, file: BinaryIO, table: Table) -> list[str]:
    lines = itertools.dropwhile(lambda line: not line.strip("\r\n"), csv_lines(file, table))  # as Arrow does
    names = next(csv_rows(lines if table.multiline else itertools.islice(lines, 1), table), [])
    if any("\0" in name for name in names):
        raise _zero_bytes(path)
    if names and names[0].casefold().startswith("sep="):
        raise TableError(f"{path}: its first line, {names[0]!r}, is for Excel alone: remove it, and set `separator`")
    if names and is_open(names[-1]) and not table.multiline:
        raise open_quote(path, 1, "the header", names[-1], table)
    if table.columns is None or not names:
        return names
    alike = sum(a.strip().casefold() == b.casefold() for a, b in zip(names, table.columns, strict=False))
    if alike > len(table.columns) / 2:
        raise TableError(f"{path}: its first line is a header. `columns` is for files without one: leave it out")
    return list(table.columns)


def _zero_bytes(path: str) -> TableError:
    return TableError(f"{path}: holds zero bytes: is it UTF-16? Then set `encoding: utf-16-le` (or -be)")


def _check_first_rows(path: str, table: Table, width: int) -> None:
    """Raises `TableError` where none of the first rows has as many values as there are columns."""
    with open_file(path) as file, table_errors(path, table):
        lines = (line for line in csv_lines(file, table) if not line.isspace())
        first = 0 if table.columns is not None else 1
        rows = list(itertools.islice(csv_rows(lines, table), first, _COMPARED_ROWS + 1))
    if not rows or width in map(len, rows):
        return
    names = "the header" if table.columns is None else "`columns`"
    found = f"{path}: line {first + 1} has {len(rows[0])} values, {names} {width}, and so on."
    raise TableError(f"{found} {_why_other_widths(rows, width, table)}".rstrip())


def _why_other_widths(rows: Sequence[Sequence[str]], width: int, table: Table) -> str:
    """Returns what may have made rows longer or shorter than the header; empty where nothing is likely."""
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
        return "Is the first line a header? Remove the lines above it"
    return ""


def _parquet(path: str, file: BinaryIO) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except (OSError, ValueError) as error:
        raise TableError(f"{path}: is not Parquet ({error})") from error


def _json_columns(path: str, file: BinaryIO, table: Table) -> list[str]:
    found = list(itertools.islice(json_values(file, table), HEADER_ROWS))
    columns = _distinct_names(value for value, _, _ in found if isinstance(value, dict))
    if any("\0" in text for _, _, text in found[:1]):
        raise _zero_bytes(path)
    if found and not columns:
        raise TableError(
            f'{path}: holds no object such as {{"user": 1}} in its first {len(found)} rows. '
            f"Line {found[0][1]}: {found[0][2][:80]!r}"
        )
    return columns


def _distinct_names(rows: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))
