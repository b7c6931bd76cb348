"""Which columns of the tables the configuration names, by which keys and for what."""

from collections.abc import Iterator
from typing import NamedTuple

from config import Config
from config.errors import Location
from config.expressions import Expression
from config.features import AnyFeature, MultiValued
from config.tasks import LabelledTask


class Use(NamedTuple):
    """A key of the configuration that names a column.

    Attributes:
      location: The key.
      column: The column.
      role: What the column is used for, such as "item id", "numeric feature" or "positive".
      kind: Of the feature that is read from it; empty where there is none.
      separator: Of a multi-valued feature.
    """

    location: Location
    column: str
    role: str
    kind: str = ""
    separator: str = ""


def expressions(config: Config) -> Iterator[tuple[Location, str, str]]:
    """Returns key, role and text of each expression over the interactions."""
    if config.positive is not None:
        yield ("positive",), "positive", config.positive
    for name, task in config.events.items():
        if isinstance(task, LabelledTask):
            yield ("tasks", name, "label"), f"label of {name}", task.label
        if task.where is not None:
            yield ("tasks", name, "where"), f"where of {name}", task.where


def column_uses(config: Config, table: str) -> Iterator[Use]:
    """Returns the uses of a table's columns, of `interactions`, `items` or `users`; of broken expressions none."""
    if table != "interactions":
        yield Use(("data", table, "id"), getattr(config.data, table).id, f"{table[:-1]} id")
        yield from _feature_uses(config, table[:-1])
        return
    log = config.data.interactions
    for key, role in (("user", "user id"), ("item", "item id"), ("time", "time")):
        if getattr(log, key) is not None:
            yield Use(("data", "interactions", key), getattr(log, key), role)
    for section in ("context", "outcome", *(() if config.data.users else ("user",))):
        yield from _feature_uses(config, section)
    for task, column in config.sessions.items():
        yield Use(("tasks", task, "session"), column, f"session of {task}")
    for index, outlier in enumerate(config.cleaning.outliers):
        yield Use(("cleaning", "outliers", index, "column"), outlier.column, "outliers")
    for location, role, text in expressions(config):
        try:
            columns = Expression.parse(text).columns
        except ValueError:  # a problem of its own
            continue
        yield from (Use(location, column, role) for column in columns)


def _feature_uses(config: Config, section: str) -> Iterator[Use]:
    features: tuple[AnyFeature, ...] = getattr(config.features, section)
    for index, feature in enumerate(features):
        location = ("features", section, index)
        if feature.is_combination:
            for number, column in enumerate(feature.columns):
                yield Use((*location, "of", number), column, f"{feature.kind} feature")
        else:
            key, separator = "column" if feature.column else "name", ""
            if isinstance(feature, MultiValued):
                separator = feature.separator
            yield Use((*location, key), feature.source, f"{feature.kind} feature", feature.kind, separator)
