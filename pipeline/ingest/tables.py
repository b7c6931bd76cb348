"""Where a table's files are, what format they have and which columns; the place that knows paths, globs and spans."""

import csv
import glob
import gzip
import io
import itertools
import json
import os
import posixpath
import re
import sys
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final, TextIO, cast, get_args

import pyarrow.parquet as pq

from pipeline.config.data import Table, TableFormat

EXTENSIONS: Final[dict[str, TableFormat]] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".tfrecord": "tfrecord",
}
PLACEHOLDER: Final = re.compile(r"\{(SPAN|VERSION|YYYY|MM|DD)(?::(\d+))?\}")
"""TFX's: a number in a path, `{SPAN:3}` with a fixed width. `{YYYY}{MM}{DD}` is a span by date."""
HEADER_ROWS: Final = 1000
"""Formats without a header: the columns are those that so many first rows have."""
csv.field_size_limit(sys.maxsize)  # Arrow has no limit of its own
_SPAN_PARTS: Final = ("YYYY", "MM", "DD", "SPAN", "VERSION")
_DATE_WIDTHS: Final = {"YYYY": "4", "MM": "2", "DD": "2"}


class TableError(ValueError):
    """A table cannot be read. The message names the file, what was found and what is allowed."""


def table_pattern(folder: str, table: Table) -> str:
    """The table's path inside the data folder: a file or a glob, `{SPAN}` and `{VERSION}` not yet filled in."""
    return posixpath.join(folder, table.path)


def table_format(table: Table) -> TableFormat:
    """The configured format, or the one that the path's extension names. Raises `TableError`."""
    if table.format:
        return table.format
    extension = posixpath.splitext(table.path.removesuffix(".gz"))[1]
    if extension not in EXTENSIONS:
        raise TableError(
            f"{table.path}: the extension {extension!r} names no format. "
            f"Use one of {', '.join(EXTENSIONS)}, or set `format` to one of {', '.join(get_args(TableFormat))}"
        )
    return EXTENSIONS[extension]


def table_files(folder: str, table: Table) -> list[str]:
    """The table's files in the order in which their rows count, that is by name; of the newest span and version.

    Args:
      folder: `data.folder`, local or a URI of a file system that Beam knows.
      table: The table; its path may be a glob.

    Returns:
      At least one path.

    Raises:
      TableError: If no file matches.
    """
    pattern = table_pattern(folder, table)
    paths = sorted(_match(PLACEHOLDER.sub("*", pattern)))
    if PLACEHOLDER.search(pattern):
        paths = _newest(pattern, paths)
    if not paths:
        raise TableError(f"{pattern}: no such file. {_neighbours(pattern)}")
    return paths


def column_names(folder: str, table: Table) -> list[str]:
    """The table's columns in their order, from the first rows of its first file.

    JSON lines and TFRecord have no header: there it is every name that occurs in the first `HEADER_ROWS` rows.

    Raises:
      TableError: If there is no such file, or it is not what format and encoding say.
    """
    return file_columns(table_files(folder, table)[0], table)


def file_columns(path: str, table: Table) -> list[str]:
    """The columns of one of the table's files, as `column_names`."""
    names = {"csv": _csv_columns, "parquet": _parquet_columns, "jsonl": _json_columns, "tfrecord": _tfrecord_columns}
    with open_file(path) as file:
        try:
            columns = names[table_format(table)](path, file, table)
        except (gzip.BadGzipFile, EOFError) as error:
            raise broken_gzip(path, error) from error
    if not columns:
        raise TableError(f"{path}: is empty")
    return columns


def open_file(path: str) -> BinaryIO:
    """Opens a file of any Beam file system for reading bytes; `.gz` is decompressed. Raises `TableError`."""
    try:
        file = _open_remote(path) if _is_remote(path) else io.BufferedReader(io.FileIO(path))
    except OSError as error:
        raise TableError(f"{path}: cannot be read ({error})") from error
    # Beam's own decompressing file is no io.IOBase: neither text wrappers nor Arrow take it.
    return cast(BinaryIO, gzip.GzipFile(fileobj=file) if path.endswith(".gz") else file)


def file_size(path: str) -> int:
    """The file's size in bytes as stored."""
    if not _is_remote(path):
        return os.path.getsize(path)
    from apache_beam.io.filesystems import FileSystems

    return FileSystems.match([path])[0].metadata_list[0].size_in_bytes


def _is_remote(path: str) -> bool:
    """Whether the path needs Beam, whose import takes longer than the whole check of a configuration."""
    return "://" in path


def _open_remote(path: str) -> BinaryIO:
    from apache_beam.io.filesystem import BeamIOError, CompressionTypes
    from apache_beam.io.filesystems import FileSystems

    try:
        return FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
    except BeamIOError as error:
        raise OSError(str(error)) from error


def undecodable(path: str, table: Table, reason: str) -> TableError:
    """The error for bytes that are not text in the configured encoding."""
    return TableError(f"{path}: is not {table.encoding} text ({reason}). Set the table's `encoding`")


def broken_gzip(path: str, error: Exception) -> TableError:
    """The error for a file that is named .gz and is cut off or none."""
    return TableError(f"{path}: is not a whole gzip file ({error})")


def _match(pattern: str) -> list[str]:
    if not _is_remote(pattern):
        return [path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path)]
    from apache_beam.io.filesystem import BeamIOError
    from apache_beam.io.filesystems import FileSystems

    try:
        return [found.path for found in FileSystems.match([pattern])[0].metadata_list]
    except (BeamIOError, ValueError) as error:
        raise TableError(f"{pattern}: cannot be listed ({error})") from error


def _newest(pattern: str, paths: list[str]) -> list[str]:
    """The paths with the greatest (span, version) among those that fit the pattern."""
    expression = _as_regex(pattern)
    numbered = [(found, path) for path in paths if (found := expression.fullmatch(path))]
    keys = [tuple(int(f[n]) for n in _SPAN_PARTS if n in f.re.groupindex) for f, _ in numbered]
    return [path for key, (_, path) in zip(keys, numbered, strict=True) if key == max(keys)]


def _as_regex(pattern: str) -> re.Pattern[str]:
    parts, last = [], 0
    for found in PLACEHOLDER.finditer(pattern):
        width = _DATE_WIDTHS.get(found[1]) or found[2]
        digits = rf"\d{{{width}}}" if width else r"\d+"
        parts += [_glob_as_regex(pattern[last : found.start()]), f"(?P<{found[1]}>{digits})"]
        last = found.end()
    return re.compile("".join(parts) + _glob_as_regex(pattern[last:]))


def _glob_as_regex(glob: str) -> str:
    return re.escape(glob).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")


def _neighbours(pattern: str) -> str:
    folder = posixpath.dirname(PLACEHOLDER.sub("*", pattern))
    if set("*?[") & set(folder):
        return "Check `data.folder` and the table's `path`"
    names = sorted(posixpath.basename(path) for path in _match(posixpath.join(folder, "*")))
    return f"{folder} holds: {', '.join(names[:20]) or 'nothing'}"


def _csv_columns(path: str, file: BinaryIO, table: Table) -> list[str]:
    try:
        lines = csv_lines(file, table)
        names = next(csv_rows(lines if table.multiline else itertools.islice(lines, 1), table), [])
    except (UnicodeError, LookupError) as error:
        raise undecodable(path, table, str(error)) from error
    except csv.Error as error:
        raise TableError(f"{path}: is not CSV ({error})") from error
    if names and goes_on(names[-1]) and not table.multiline:
        raise open_quote(path, 1, "the header", names[-1])
    return names


def csv_lines(file: BinaryIO, table: Table, errors: str = "strict") -> TextIO:
    """The lines of a CSV file with their ends."""
    encoding = "utf-8-sig" if table.encoding.lower().replace("_", "-") in ("utf-8", "utf8") else table.encoding
    return io.TextIOWrapper(file, encoding, errors, newline="")


def csv_rows(lines: Iterable[str], table: Table) -> Iterator[list[str]]:
    """The values of each row, cut as Arrow cuts them. Raises `csv.Error`."""
    return csv.reader(
        lines,
        delimiter=table.separator,
        quotechar=table.quote,
        quoting=csv.QUOTE_MINIMAL if table.quote else csv.QUOTE_NONE,
    )


def goes_on(value: str) -> bool:
    """Whether the last value of a line, cut by itself, holds the line's end: its quote is still open there."""
    return value.endswith(("\n", "\r"))


def open_quote(path: str, line: int, column: str, value: str) -> TableError:
    """The error for a quote that is not closed in its line."""
    return TableError(
        f"{path}, line {line}: a quote in {column} is not closed in its line: {value.rstrip()[:40]!r}. "
        "Where values may span lines, set the table's `multiline: true`; where quotes are plain text, `quote: null`"
    )


def _parquet_columns(path: str, file: BinaryIO, table: Table) -> list[str]:
    try:
        return list(pq.read_schema(file).names)
    except (OSError, ValueError) as error:
        raise TableError(f"{path}: is not Parquet ({error})") from error


def _json_columns(path: str, file: BinaryIO, table: Table) -> list[str]:
    try:
        lines = [line.decode(table.encoding) for line in itertools.islice(file, HEADER_ROWS)]
    except (UnicodeError, LookupError) as error:
        raise undecodable(path, table, str(error)) from error
    return _union(row for line in lines if isinstance(row := parse_json(line), dict))


def parse_json(line: str | bytes) -> object:
    """The value of one JSON line; None where it is not JSON."""
    try:
        return json.loads(line)
    except ValueError:
        return None


def _tfrecord_columns(path: str, file: BinaryIO, table: Table) -> list[str]:
    from pipeline.ingest.tfrecords import feature_names  # needs TensorFlow, which the other formats do without

    return _union(feature_names(path, file, HEADER_ROWS))


def _union(rows: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))
