"""Where a table's files are, and in what format: paths, globs, folders and spans."""

import glob
import gzip
import io
import os
import posixpath
import re
from collections.abc import Iterator
from datetime import date
from typing import BinaryIO, Final, NamedTuple, cast, get_args
from urllib.parse import unquote

from config.data import InteractionTable, Table, TableFormat
from pipeline.ingest import object_store
from pipeline.ingest.object_store import is_remote
from pipeline.ingest.spans import PLACEHOLDER, Span, SpanError, SpanFiles, SpanPattern, find_spans

EXTENSIONS: Final[dict[str, TableFormat]] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".tfrecord": "tfrecord",
}
_GLOB: Final = re.compile(r"[*?[]")
_PARTITION: Final = re.compile(r"(?<=/)([^/=]+)=([^/]*)(?=/)")
_NO_PARTITION: Final = "__HIVE_DEFAULT_PARTITION__"
_REMEDIES: Final = {
    ".json": "`format: jsonl` reads JSON lines, an array of objects and objects over several lines",
    ".zip": "unpack it",
    ".bz2": "unpack it, or compress it with gzip",
    ".xz": "unpack it, or compress it with gzip",
    ".zst": "unpack it, or compress it with gzip",
    ".xls": "save the sheet as CSV",
    ".xlsx": "save the sheet as CSV",
    ".ods": "save the sheet as CSV",
    ".orc": "write it as Parquet",
    ".avro": "write it as Parquet",
    ".feather": "write it as Parquet",
    ".arrow": "write it as Parquet",
}
HIDDEN: Final = "(not shown: the table has personal columns)"
"""What stands for text of a file that may hold personal values."""
_TEXT_REMEDY: Final = "for text of one row a line `format: csv` with its `separator`"


class TableError(ValueError):
    """A table cannot be read. The message names the file, what was found and what is allowed."""


def shown(text: str, table: Table) -> str:
    """Returns text of a file for a message; not that of a table with personal columns, which it may hold."""
    return HIDDEN if table.personal else text


def table_format(table: Table, path: str | None = None) -> TableFormat:
    """Returns the configured format, or the one that an extension names: of the table's path, or else of its file.

    Args:
      table: The table.
      path: One of its files.

    Raises:
      TableError: If no extension names a format.
    """
    if table.format:
        return table.format
    extension, of_file = _extension(table.path), _extension(path or "")
    for found in (extension, of_file):
        if found in EXTENSIONS:
            return EXTENSIONS[found]
    name = posixpath.basename(path or "")
    where, extension = (f"{table.path} ({name})", of_file) if extension != of_file and path else (table.path, extension)
    raise TableError(
        f"{where}: the extension {extension!r} names no format. Use one of {', '.join(EXTENSIONS)}, or set "
        f"`format` to one of {', '.join(get_args(TableFormat))}: {_REMEDIES.get(extension, _TEXT_REMEDY)}"
    )


def _extension(path: str) -> str:
    return posixpath.splitext(path.rstrip("/").lower().removesuffix(".gz"))[1]


class TableSource(NamedTuple):
    """Where the rows of a table are.

    Attributes:
      files: At least one path, in the order of the rows, that is by span and name.
      spans: As `table_spans` returns them.
    """

    files: list[str]
    spans: SpanFiles | None


def table_files(folder: str, table: Table, span: Span | None = None) -> list[str]:
    """Returns the files of `table_source`."""
    return table_source(folder, table, span).files


def table_source(folder: str, table: Table, span: Span | None = None) -> TableSource:
    """Finds the table's files.

    Args:
      folder: `data.folder`, local or a URI of a file system that Beam knows.
      table: The table; its path may be a file, a folder of parts or a glob of either.
      span: The last span to read, `data.span`. None: the newest.

    Raises:
      TableError: If no file matches.
    """
    spans = table_spans(folder, table, span)
    folder, pattern = _base(folder, table), posixpath.join(_base(folder, table), table.path)
    if spans is not None:
        paths = list(spans.paths)
    elif _exists(pattern):
        paths = [pattern]
    else:
        paths = _match(folder, table.path)
    files = [file for path in paths for file in _parts(path)]
    if not files:
        raise TableError(f"{pattern}: {'holds no files' if paths else 'no such file'}. {_neighbours(folder, table)}")
    return TableSource(files, spans)


def table_spans(folder: str, table: Table, span: Span | None = None) -> SpanFiles | None:
    """Returns the spans of a table that are read; None where its path has neither spans nor versions.

    The interactions have a window. Of another table the newest span up to `span` is read, since a catalogue is not
    written as often as a log.

    Args:
      folder: As in `table_source`.
      table: As in `table_source`.
      span: As in `table_source`.

    Raises:
      TableError: If there are no such spans.
    """
    if not PLACEHOLDER.search(table.path):
        return None
    folder = _base(folder, table)
    paths = _match(folder, PLACEHOLDER.sub("*", table.path))
    try:
        if isinstance(table, InteractionTable):
            return find_spans(folder, table.path, paths, span, table.window)
        if isinstance(span, date) != SpanPattern(table.path).is_dated:
            span = None  # its spans are numbered otherwise than the log's
        return find_spans(folder, table.path, paths, span, may_be_earlier=True)
    except SpanError as error:
        raise TableError(f"{posixpath.join(folder, table.path)}: {error}") from error


def _base(folder: str, table: Table) -> str:
    return "" if posixpath.isabs(table.path) else folder


def partitions(path: str) -> dict[str, str | None]:
    """Returns the columns that a file's folders name, as Hive and Spark write them: `date=2024-05-01`."""
    found = {unquote(name): unquote(value) for name, value in _PARTITION.findall(path)}
    return {name: None if value == _NO_PARTITION else value for name, value in found.items()}


def open_file(path: str) -> BinaryIO:
    """Opens a local file or an object for reading bytes; `.gz` is decompressed. Raises `TableError`."""
    try:
        file = object_store.open_object(path) if is_remote(path) else io.BufferedReader(io.FileIO(path))
    except OSError as error:  # Beam's BeamIOError is one
        raise TableError(f"{path}: cannot be read ({error})") from error
    # Beam's own decompressing file is no io.IOBase: neither text wrappers nor Arrow take it.
    return cast(BinaryIO, gzip.GzipFile(fileobj=file) if path.lower().endswith(".gz") else file)


def file_size(path: str) -> int:
    """Returns the size of a file as stored, in bytes."""
    if not is_remote(path):
        return os.path.getsize(path)
    found = object_store.stat(path)
    if found is None:
        raise TableError(f"{path}: is gone")
    return found.size


def _exists(path: str) -> bool:
    """Returns whether the path exists as it is written. An object store has no folders; a pattern finds its files."""
    if not is_remote(path):
        return os.path.exists(path)
    return bool(_GLOB.search(path)) and object_store.stat(path) is not None


def _match(folder: str, pattern: str) -> list[str]:
    """Returns the files that match, or else the folders, by name."""
    if is_remote(folder):
        path = posixpath.join(folder, pattern)
        return sorted(_match_remote(path) or _match_remote(posixpath.join(path.rstrip("/"), "**")))
    found = sorted(glob.glob(_literal_first(folder, pattern), recursive=True))
    files = [path for path in found if os.path.isfile(path)]
    return [path for path in files if not posixpath.basename(path).startswith("_")] or files or found


def _literal_first(folder: str, pattern: str) -> str:
    """Returns the pattern in the folder, with the glob characters of folders that exist as they are written escaped."""
    if pattern.startswith("/"):
        folder, pattern = "/", pattern.lstrip("/")
    name, _, rest = pattern.partition("/")
    while rest and os.path.isdir(found := posixpath.join(folder, name)):
        folder = found
        name, _, rest = rest.partition("/")
    return posixpath.join(glob.escape(folder), f"{name}/{rest}" if rest else name)


def _match_remote(pattern: str) -> list[str]:
    try:
        paths = [found.path for found in object_store.find(pattern)]
    except (OSError, ValueError) as error:  # Beam's BeamIOError is an OSError
        raise TableError(f"{pattern}: cannot be listed ({error})") from error
    # Names that begin with `_` or `.` hold no rows, unless the pattern names them.
    hidden = ("_", ".") if posixpath.basename(pattern).startswith("*") else ()
    return [path for path in paths if (name := posixpath.basename(path)) and not name.startswith(hidden)]


def _parts(path: str) -> Iterator[str]:
    """Returns the file itself, or all files of a folder that hold rows, by name."""
    if is_remote(path) or not os.path.isdir(path):
        yield path
        return
    files = []
    for folder, folders, names in os.walk(path):
        if "_delta_log" in folders:
            raise TableError(f"{folder}: is a Delta table, whose files hold deleted rows too. Write it as Parquet")
        folders[:] = [name for name in folders if name[0] not in "_."]
        files += [posixpath.join(folder, name) for name in names if name[0] not in "_."]
    yield from sorted([file for file in files if os.path.getsize(file)] or files)


def _neighbours(folder: str, table: Table) -> str:
    """Returns a sentence on what is there where the table's files should."""
    parent = posixpath.dirname(table.path)
    if is_remote(folder) or PLACEHOLDER.search(parent) or _GLOB.search(parent):
        return "Check `data.folder` and the table's `path`"
    found = posixpath.join(folder, parent)
    if not os.path.isdir(found):
        return f"There is not a folder {found}"
    names = sorted(f"{name}/" if os.path.isdir(posixpath.join(found, name)) else name for name in os.listdir(found))
    return f"{found} holds: {', '.join(names[:20]) or 'nothing'}"
