"""Whether the tables have every column that the configuration names, and whether a run can write its folders."""

import os
from collections.abc import Iterator
from pathlib import Path

from config import Config, paths
from config.data import Table
from config.errors import Location, Problem, suggestion
from config.expressions import Expression
from pipeline.checks.column_uses import column_uses, expressions
from pipeline.ingest.headers import check_has_rows, duplicate_column, file_columns, hint
from pipeline.ingest.personal import check_no_folders
from pipeline.ingest.tables import TableError, table_files


def check_tables(config: Config, path: str) -> Iterator[Problem]:
    """Returns the problems of the tables: missing files, unreadable headers, unknown columns, broken expressions.

    Args:
      config: The configuration.
      path: Its file, for the command that fetches a public data set.
    """
    for location, _, text in expressions(config):
        try:
            Expression.parse(text)
        except ValueError as error:
            yield location, str(error)
    if config.data.dataset and not _has_files(config):
        yield ("data", "folder"), f"holds no tables. Fetch them: `tfx_runner.py data --config {path}`"
        return
    for name in ("interactions", "items", "users"):
        table = getattr(config.data, name)
        if table is not None:
            yield from _check_table(config, ("data", name), table)


def _has_files(config: Config) -> bool:
    try:
        return bool(table_files(config.data.folder, config.data.interactions, config.data.span))
    except TableError:
        return False


def _check_table(config: Config, location: Location, table: Table) -> Iterator[Problem]:
    try:
        files = table_files(config.data.folder, table, config.data.span)
        columns = file_columns(files[0], table)
        check_has_rows(files, table)
        check_no_folders(files[0], table)
    except TableError as error:
        yield (*location, "path"), str(error)
        return
    for use in column_uses(config, str(location[-1])):
        if use.column not in columns:
            likely = hint(columns, table) or suggestion(use.column, columns)
            allowed = f"Columns of {Path(table.path).name}: {', '.join(columns)}"
            yield use.location, f"no such column: {use.column!r}. {likely}{allowed}"
        elif columns.count(use.column) > 1:
            yield use.location, f"{Path(table.path).name}: {duplicate_column(use.column)}"


def check_folders(config: Config) -> Iterator[Problem]:
    """Returns the folders that cannot be created or written to. Folders on an object store are not tried."""
    if problem := why_unwritable(paths.home(config)):
        yield ("pipeline", "root"), f"should be a folder that can be written to: {problem}"
    if config.serving.folder and (problem := why_unwritable(config.serving.folder)):
        yield ("serving", "folder"), f"should be a folder that can be written to: {problem}"


def why_unwritable(folder: str) -> str:
    """Returns why a folder cannot be created or written to; empty where it can. Nothing is written to find out."""
    if "://" in folder:
        return ""
    path = Path(folder).absolute()
    for existing in (path, *path.parents):
        try:
            existing.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue  # the folder above decides
        except OSError as error:
            text = str(existing)
            return f"{text if len(text) <= 120 else text[:117] + '...'} ({error.strerror})"
        if not existing.is_dir():
            return f"{existing} is not a folder"
        return "" if os.access(existing, os.W_OK | os.X_OK) else f"{existing} cannot be written to by this user"
    return f"{path} does not exist"
