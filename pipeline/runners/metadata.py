"""The metadata of a local pipeline: whether their database can be used, and what killed runs left."""

import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from absl import logging

from config.metadata import PASSWORDS, Database
from pipeline.metadata import FILE, open_store, pipeline_context, server
from pipeline.runners.capture import captured

_PATIENCE: Final = 5.0
"""Seconds in which another program's short read or write ends."""
_CODES: Final = {sqlite3.SQLITE_BUSY: "locked", sqlite3.SQLITE_LOCKED: "locked", sqlite3.SQLITE_READONLY: "closed"}


def database_problem(home: Path, address: str | None, is_written: bool = True) -> str:
    """Returns why the metadata of the pipeline in `home`, or at an address, cannot be used; "" where they can."""
    return metadata_problem(home / FILE, is_written) if address is None else server_problem(address)


def metadata_problem(path: Path, is_written: bool = True) -> str:
    """Returns why the metadata's SQLite file cannot be used, and the remedy; "" where it can, or is not there yet.

    Reads the whole file once. TFX, whose own messages name neither file nor remedy, is not imported.

    Args:
      path: The SQLite file.
      is_written: Whether the file is also written.
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
        "A copy of the file from before the damage can be used instead"
    )


def _move(path: Path) -> str:
    """Returns the commands that move the file and its journal, which would be played back into another file."""
    files = [path, *(found for found in [path.with_name(f"{path.name}-journal")] if found.exists())]
    return " && ".join(f"`mv {file} {file}.damaged`" for file in files)


def server_problem(address: str) -> str:
    """Returns why the metadata's database on a server cannot be used; "" where it can.

    ML Metadata tells the reason to the standard error alone, so it is read from there.
    """
    database = Database.parse(address)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        with captured(log):
            try:
                open_store(server(database))
            except Exception as error:  # ML Metadata has an exception of its own for every code of absl::Status
                failure = f"{error}".strip()
            else:
                return ""
        told = re.findall(r"error: (\S.*)", log.read_text(errors="replace"))
    password = "is set" if os.environ.get(PASSWORDS[database.kind]) else "is not set"
    return (
        f"`pipeline.metadata`: {database} cannot be used ({told[0] if told else failure}). "
        f"The password is that of the environment variable {PASSWORDS[database.kind]}, which {password}"
    )


def remove_leftovers(name: str, root: Path, connection: Any, run_id: str) -> Iterator[str]:
    """Removes what killed runs left among the artifacts; call it only while no other run is under way.

    Executions in the state NEW or RUNNING are marked as cancelled, and their folders are removed with half-written
    outputs and Beam's temporary files. Where the metadata hold no execution, but there are artifacts, these are moved
    aside: new executions are numbered from 1 again, and would write among the files of old ones.

    Args:
      name: The pipeline's, whose runs alone are looked at: a database may hold others.
      root: The pipeline's root: `<root>/<component>/<output>/<execution>`.
      connection: To its metadata.
      run_id: Of the run that begins; names the folder that is moved aside.

    Yields:
      Warnings, in sentences.
    """
    from ml_metadata.proto import metadata_store_pb2
    from tfx.orchestration import metadata

    execution_type: Any = metadata_store_pb2.Execution  # type: ignore[attr-defined]
    with metadata.Metadata(connection) as handle:
        context = pipeline_context(handle.store, name)
        executions = [] if context is None else handle.store.get_executions_by_context(context.id)
        killed = [
            execution
            for execution in executions
            if execution.last_known_state in (execution_type.NEW, execution_type.RUNNING)
        ]
        for execution in killed:
            execution.last_known_state = execution_type.CANCELED
        handle.store.put_executions(killed)
    if not executions and root.is_dir() and any(root.iterdir()):
        aside = root.with_name(f"{root.name}-before-{run_id}")
        root.rename(aside)
        yield f"no metadata tell of the artifacts in {root}: they were moved to {aside}. Remove it when nobody needs it"
        return
    for execution in killed:
        for pattern in (f"*/*/{execution.id}", f"*/.system/*/{execution.id}"):
            for folder in root.glob(pattern):
                logging.info("Removing %s, which a killed run left.", folder)
                shutil.rmtree(folder)
    for folder in root.glob("*/.system/stateful_working_dir/*"):  # of executions that failed or were killed
        shutil.rmtree(folder)
