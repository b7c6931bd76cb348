"""Whether the tables are there and have every column that the configuration names."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from config import Config
from config.data import Table
from config.errors import Location, Problem, suggestion
from config.expressions import Expression
from config.features import Feature
from config.tasks import LabelledTask
from pipeline.ingest.headers import check_rows, file_columns, hint, twice
from pipeline.ingest.tables import TableError, table_files

Use = tuple[Location, str]
"""A key of the configuration and the column that it names."""


def check_data(config: Config, path: str) -> Iterator[Problem]:
    """The problems of the tables: missing files, unreadable headers, unknown columns, broken expressions.

    Args:
      config: The configuration.
      path: Its file, for the command that fetches a public data set.
    """
    yield from broken_expressions(config)
    data = config.data
    if data.dataset and not _has_files(config, data.interactions):
        yield ("data", "folder"), f"holds no tables. Fetch them: `tfx_runner.py data --config {path}`"
        return
    yield from _check_table(config, ("data", "interactions"), data.interactions, _interaction_columns(config))
    if data.items:
        uses = [(("data", "items", "id"), data.items.id), *_feature_columns(config, "item")]
        yield from _check_table(config, ("data", "items"), data.items, uses)
    if data.users:
        uses = [(("data", "users", "id"), data.users.id), *_feature_columns(config, "user")]
        yield from _check_table(config, ("data", "users"), data.users, uses)


def broken_expressions(config: Config) -> Iterator[Problem]:
    """The expressions that cannot be parsed."""
    for location, text in _expressions(config):
        try:
            Expression.parse(text)
        except ValueError as error:
            yield location, str(error)


def _has_files(config: Config, table: Table) -> bool:
    try:
        return bool(table_files(config.data.folder, table))
    except TableError:
        return False


def _check_table(config: Config, location: Location, table: Table, uses: Iterable[Use]) -> Iterator[Problem]:
    try:
        files = table_files(config.data.folder, table)
        columns = file_columns(files[0], table)
        check_rows(files, table)
    except TableError as error:
        yield (*location, "path"), str(error)
        return
    for use, column in uses:
        if column not in columns:
            allowed = f"Columns of {Path(table.path).name}: {', '.join(columns)}"
            yield use, f"no such column: {column!r}. {hint(columns, table) or suggestion(column, columns)}{allowed}"
        elif columns.count(column) > 1:
            yield use, f"{Path(table.path).name}: {twice(column)}"


def _interaction_columns(config: Config) -> Iterator[Use]:
    table = config.data.interactions
    yield ("data", "interactions", "user"), table.user
    yield ("data", "interactions", "item"), table.item
    if table.time is not None:
        yield ("data", "interactions", "time"), table.time
    for index, outlier in enumerate(config.cleaning.outliers):
        yield ("cleaning", "outliers", index, "column"), outlier.column
    for section in ("context", "outcome", *(() if config.data.users else ("user",))):
        yield from _feature_columns(config, section)
    for task, column in config.sessions.items():
        yield ("tasks", task, "session"), column
    for location, text in _expressions(config):
        yield from ((location, column) for column in _columns_of(text))


def _feature_columns(config: Config, section: str) -> Iterator[Use]:
    features: tuple[Feature, ...] = getattr(config.features, section)
    for index, feature in enumerate(features):
        location = ("features", section, index)
        if feature.is_combination:
            yield from (((*location, "of", index), column) for index, column in enumerate(feature.columns))
        else:
            yield (*location, "column" if feature.column else "name"), feature.source


def _expressions(config: Config) -> Iterator[tuple[Location, str]]:
    if config.positive is not None:
        yield ("positive",), config.positive
    for name, task in config.events.items():
        if isinstance(task, LabelledTask):
            yield ("tasks", name, "label"), task.label
        if task.where is not None:
            yield ("tasks", name, "where"), task.where


def _columns_of(text: str) -> tuple[str, ...]:
    try:
        return tuple(Expression.parse(text).columns)
    except ValueError:
        return ()
