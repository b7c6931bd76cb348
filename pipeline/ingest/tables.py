"""Where a table's files are and what format they have; the position that knows paths, globs, folders and spans."""

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

EXTENSIONS: Final[dict[str, TableFormat]] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".tfrecord": "tfrecord",
}
PLACEHOLDER: Final = re.compile(r"\{(SPAN|VERSION|YYYY|MM|DD)(?::(\d+))?\}")
"""TFX's: a number in a path, `{SPAN:3}` with a fixed width. `{YYYY}{MM}{DD}` is a span by date."""
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
_MARKS: Final = {
    b"\x1f\x8b": "compressed with gzip: its name should end in .gz",
    b"PAR1": "Parquet: set `format: parquet`",
    b"PK\x03\x04": "a ZIP archive or a spreadsheet: unpack it, or save the sheet as CSV",
    b"BZh": "compressed with bzip2: unpack it, or compress it with gzip",
    b"\xfd7zXZ": "compressed with xz: unpack it, or compress it with gzip",
    b"\x28\xb5\x2f\xfd": "compressed with Zstandard: unpack it, or compress it with gzip",
}
"""What the first bytes of a file say."""
_TEXT_REMEDY: Final = "for text of one row a line `format: csv` with its `separator`"


class TableError(ValueError):
    """A table cannot be read. The message names the file, what was found and what is allowed."""


def table_pattern(folder: str, table: Table) -> str:
    """The table's path inside the data folder: a file or a glob, `{SPAN}` and `{VERSION}` not yet filled in."""
    return posixpath.join(folder, table.path)


def table_format(table: Table, path: str | None = None) -> TableFormat:
    """The configured format, or the one that an extension names: the table's path's, or else its file's, at `path`.

    Raises:
      TableError: If none names one.
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
    """The table's files in the order in which their rows count, that is by name; of the newest span and version.

    Args:
      folder: `data.folder`, local or a URI of a file system that Beam knows.
      table: The table; its path may be a file, a folder of parts or a glob of either.

    Returns:
      At least one path.

    Raises:
      TableError: If no file matches.
    """
    folder, pattern = "" if posixpath.isabs(table.path) else folder, table_pattern(folder, table)
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
    """The columns that a file's folders name, as Hive and Spark write them: `date=2024-05-01`."""
    found = {unquote(name): unquote(value) for name, value in _PARTITION.findall(path)}
    return {name: None if value == _NO_PARTITION else value for name, value in found.items()}


def open_file(path: str) -> BinaryIO:
    """Opens a file of any Beam file system for reading bytes; `.gz` is decompressed. Raises `TableError`."""
    try:
        file = _open_remote(path) if _is_remote(path) else io.BufferedReader(io.FileIO(path))
    except OSError as error:
        raise TableError(f"{path}: cannot be read ({error})") from error
    # Beam's own decompressing file is no io.IOBase: neither text wrappers nor Arrow take it.
    return cast(BinaryIO, gzip.GzipFile(fileobj=file) if path.lower().endswith(".gz") else file)


def file_size(path: str) -> int:
    """The file's size in bytes as stored."""
    if not _is_remote(path):
        return os.path.getsize(path)
    from apache_beam.io.filesystems import FileSystems

    return FileSystems.match([path])[0].metadata_list[0].size_in_bytes


def undecodable(path: str, table: Table, reason: str) -> TableError:
    """The error for bytes that are not text in the configured encoding."""
    with open_file(path) as file:
        head = file.read(8)
    for mark, found in _MARKS.items():
        if head.startswith(mark):
            return TableError(f"{path}: is no text but {found}")
    return TableError(f"{path}: is not {table.encoding} text ({reason}). Set the table's `encoding`")


def broken_gzip(path: str, error: Exception) -> TableError:
    """The error for a file that is named .gz and is cut off or none."""
    return TableError(f"{path}: is not a whole gzip file ({error})")


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


def _exists(path: str) -> bool:
    """Whether the path is there as it stands. An object store has no folders: what it holds, a pattern finds."""
    if not _is_remote(path):
        return os.path.exists(path)
    from apache_beam.io.filesystems import FileSystems

    return bool(_GLOB.search(path)) and FileSystems.exists(path)


def _match(folder: str, pattern: str) -> list[str]:
    """The files that match, or else the folders, by name."""
    if _is_remote(folder):
        return sorted(_match_remote(posixpath.join(folder, pattern)) or _match_remote(_all_in(folder, pattern)))
    found = sorted(glob.glob(_literal_first(folder, pattern), recursive=True))
    files = [path for path in found if os.path.isfile(path)]
    return [path for path in files if not posixpath.basename(path).startswith("_")] or files or found


def _literal_first(folder: str, pattern: str) -> str:
    """The pattern in the folder, without the glob characters of folders that are there as they stand."""
    if pattern.startswith("/"):
        folder, pattern = "/", pattern.lstrip("/")
    name, _, rest = pattern.partition("/")
    while rest and os.path.isdir(place := posixpath.join(folder, name)):
        folder = place
        name, _, rest = rest.partition("/")
    return posixpath.join(glob.escape(folder), f"{name}/{rest}" if rest else name)


def _all_in(folder: str, pattern: str) -> str:
    return posixpath.join(folder, pattern.rstrip("/"), "**")


def _match_remote(pattern: str) -> list[str]:
    from apache_beam.io.filesystem import BeamIOError
    from apache_beam.io.filesystems import FileSystems

    try:
        return [found.path for found in FileSystems.match([pattern])[0].metadata_list if _is_part(found.path, pattern)]
    except (BeamIOError, ValueError) as error:
        raise TableError(f"{pattern}: cannot be listed ({error})") from error


def _is_part(path: str, pattern: str) -> bool:
    """Whether a file that matches holds rows, by its name: always where the pattern does not end in a glob."""
    name = posixpath.basename(path)
    return bool(name) and (not posixpath.basename(pattern).startswith("*") or name[0] not in "_.")


def _parts(path: str) -> Iterator[str]:
    """The file itself, or of a folder all files that hold rows, by name."""
    if _is_remote(path) or not os.path.isdir(path):
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
    """The paths with the greatest (span, version) among those that fit the pattern."""
    expression = re.compile(re.escape(posixpath.join(folder, "")) + _as_regex(pattern))
    numbered = [(found, path) for path in paths if (found := expression.fullmatch(path))]
    keys = [tuple(int(f[n]) for n in _SPAN_PARTS if n in f.re.groupindex) for f, _ in numbered]
    return [path for key, (_, path) in zip(keys, numbered, strict=True) if key == max(keys)]


def _as_regex(pattern: str) -> str:
    parts, last = [], 0
    for found in PLACEHOLDER.finditer(pattern):
        width = _DATE_WIDTHS.get(found[1]) or found[2]
        digits = rf"\d{{{width}}}" if width else r"\d+"
        parts += [_glob_as_regex(pattern[last : found.start()]), f"(?P<{found[1]}>{digits})"]
        last = found.end()
    return "".join(parts) + _glob_as_regex(pattern[last:])


def _glob_as_regex(glob: str) -> str:
    return re.escape(glob).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")


def _neighbours(folder: str, table: Table) -> str:
    parent = posixpath.dirname(table.path)
    if _is_remote(folder) or PLACEHOLDER.search(parent) or _GLOB.search(parent):
        return "Check `data.folder` and the table's `path`"
    position = posixpath.join(folder, parent)
    if not os.path.isdir(position):
        return f"There is no folder {position}"
    names = sorted(
        f"{name}/" if os.path.isdir(posixpath.join(position, name)) else name for name in os.listdir(position)
    )
    return f"{position} holds: {', '.join(names[:20]) or 'nothing'}"
