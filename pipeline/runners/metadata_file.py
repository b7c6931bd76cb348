"""Whether the SQLite file of a pipeline's metadata can be used, before TFX is imported and says it in its own way."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

_PATIENCE: Final = 5.0
"""Seconds in which another program's short read or write ends."""
_CODES: Final = {sqlite3.SQLITE_BUSY: "locked", sqlite3.SQLITE_LOCKED: "locked", sqlite3.SQLITE_READONLY: "closed"}


def metadata_problem(path: Path, is_written: bool = True) -> str:
    """What is wrong with the file, and what to do; empty where it can be used, or is not there yet.

    All of the file is read once.

    Args:
      path: The SQLite file.
      is_written: Whether it is to be written, too.
    """
    if not path.exists():
        return ""
    if not path.is_file():
        return f"{path} should be the metadata's SQLite file, and is none. Move it away: {_move(path)}"
    mode = "rw" if is_written else "ro"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", _PATIENCE, uri=True)) as connection:
            connection.isolation_level = None
            if is_written:
                connection.execute("begin immediate")  # what follows is never committed
                (version,) = connection.execute("pragma user_version").fetchone()
                connection.execute(f"pragma user_version = {version}")
            (found,) = connection.execute("pragma quick_check(1)").fetchone()
    except sqlite3.Error as error:
        return _worded(path, error)
    return "" if found == "ok" else _damaged(path, str(found).splitlines()[-1])


def _worded(path: Path, error: sqlite3.Error) -> str:
    kind = _CODES.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    if kind == "locked":
        return f"{path}: another program holds the metadata ({error}). End it (`fuser {path}` names it) and run again"
    if kind == "closed" or isinstance(error, sqlite3.OperationalError):
        return f"{path}: the metadata cannot be opened ({error}). Let this user read and write the file and its folder"
    return _damaged(path, str(error))


def _damaged(path: Path, fault: str) -> str:
    return (
        f"{path}: the metadata are damaged ({fault}). Move the file away and run again: {_move(path)}. A new one is "
        "made, every component runs again, and pushed versions go on answering; what they were made of is lost. "
        "A copy of the file from before the damage may take its place instead"
    )


def _move(path: Path) -> str:
    """With the journal of an unfinished write, which would be played back into another file."""
    files = [path, *(found for found in [path.with_name(f"{path.name}-journal")] if found.exists())]
    return " && ".join(f"`mv {file} {file}.damaged`" for file in files)
