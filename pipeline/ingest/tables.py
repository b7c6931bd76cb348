"""Where a table's files are, and in what format: paths, globs, folders and spans."""

import glob
import gzip
import io
import os
import posixpath
import re
from collections.abc import Iterator
from typing import BinaryIO, Final, cast, get_args
from urllib.parse import unquote

from config.data import Table, TableFormat
from pipeline.ingest import object_store
from pipeline.ingest.object_store import is_remote

EXTENSIONS: Final[dict[str, TableFormat]] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".tfrecord": "tfrecord",
}
PLACEHOLDER: Final = re.compile(r"\{(SPAN|VERSION|YYYY|MM|DD)(?::(\d+))?\}")
"""As TFX defines them: a number in a path, `{SPAN:3}` with a fixed width. `{YYYY}{MM}{DD}` is a span by date."""
_SPAN_PARTS: Final = ("YYYY", "MM", "DD", "SPAN", "VERSION")
_DATE_WIDTHS: Final = {"YYYY": "4", "MM": "2", "DD": "2"}
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
_TEXT_REMEDY: Final = "for text of one row a line `format: csv` with its `separator`"


class TableError(ValueError):
    """A table cannot be read. The message names the file, what was found and what is allowed."""


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


def table_files(folder: str, table: Table) -> list[str]:
    """Returns the table's files, of the newest span and version, in the order of their rows, that is by name.

    Args:
      folder: `data.folder`, local or a URI of a file system that Beam knows.
      table: The table; its path may be a file, a folder of parts or a glob of either.

    Returns:
      At least one path.

    Raises:
      TableError: If no file matches.
    """
    folder, pattern = "" if posixpath.isabs(table.path) else folder, posixpath.join(folder, table.path)
    if PLACEHOLDER.search(table.path):
        paths = _newest(folder, table.path, _match(folder, PLACEHOLDER.sub("*", table.path)))
    elif _exists(pattern):
        paths = [pattern]
    else:
        paths = _match(folder, table.path)
    files = [file for path in paths for file in _parts(path)]
    if not files:
        raise TableError(f"{pattern}: {'holds no files' if paths else 'no such file'}. {_neighbours(folder, table)}")
    return files


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


def _newest(folder: str, pattern: str, paths: list[str]) -> list[str]:
    """Returns the paths with the greatest (span, version) among those that fit the pattern.

    For example, of `day-{SPAN}/*.csv` and the files day-7/a.csv, day-10/a.csv and day-10/b.csv, the last two.
    """
    parts, last = [re.escape(posixpath.join(folder, ""))], 0
    for part in PLACEHOLDER.finditer(pattern):
        width = _DATE_WIDTHS.get(part[1]) or part[2]
        digits = rf"\d{{{width}}}" if width else r"\d+"
        parts += [_glob_as_regex(pattern[last : part.start()]), f"(?P<{part[1]}>{digits})"]
        last = part.end()
    expression = re.compile("".join([*parts, _glob_as_regex(pattern[last:])]))
    numbered = [(found, path) for path in paths if (found := expression.fullmatch(path))]
    keys = [tuple(int(f[n]) for n in _SPAN_PARTS if n in f.re.groupindex) for f, _ in numbered]
    return [path for key, (_, path) in zip(keys, numbered, strict=True) if key == max(keys)]


def _glob_as_regex(glob: str) -> str:
    return re.escape(glob).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")


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
