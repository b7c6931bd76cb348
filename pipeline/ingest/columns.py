"""Which columns of which table become which features of the examples."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import pyarrow as pa

from config import Config, feature_names
from config.data import EntityTable, Table
from config.expressions import Expression
from config.features import AnyFeature, MultiValued, Time, ValueKind
from config.tasks import BinaryTask, LabelledTask

TYPES: Final[dict[ValueKind, pa.DataType]] = {
    "text": pa.string(),
    "number": pa.float32(),
    "time": pa.int64(),
    "list": pa.list_(pa.string()),
}


@dataclass(frozen=True)
class Column:
    """One feature of the raw examples.

    Attributes:
      name: In the examples, prefix included.
      source: The table's column.
      kind: How its values are read; `list` is text split at `separator`.
      separator: Of a `list`; of a text feature what the values of a list are joined by.
      is_token: Whether a value is an entry of a vocabulary, which holds no line ends.
      times: A `TimeUnit` or a format of strptime; only for `time`.
      decimal: The decimal mark of numbers that are text; only for `number`.
      missing: The table's words for a missing value; only for `list`.
    """

    name: str
    source: str
    kind: ValueKind
    separator: str = ""
    is_token: bool = False
    times: str = "s"
    decimal: str = "."
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Label:
    """A task's label and the rows that have it.

    Attributes:
      task: The task's name.
      label: None for a multiclass task, whose label is an attribute of the item.
      where: The condition for a row to have a label; None: all rows have one.
      is_probability: Whether the label has to lie in [0, 1].
      is_own_where: Whether the task has a `where` of its own.
    """

    task: str
    label: Expression | None
    where: Expression | None
    is_probability: bool = False
    is_own_where: bool = True


@dataclass(frozen=True)
class Plan:
    """What ingest reads from each table, by the configuration.

    Attributes:
      config: The configuration.
      now: The start of the run, seconds since 1970.
    """

    config: Config
    now: float = field(default_factory=time.time, compare=False)

    @property
    def latest(self) -> float | None:
        """The latest time of an event, seconds since 1970; None: any."""
        days = self.config.cleaning.max_future_days
        return None if days is None else self.now + days * 86_400

    @cached_property
    def user(self) -> tuple[Column, ...]:
        """User features: columns of the users table, or of the interactions where there is none."""
        return self._columns(self.config.features.user, feature_names.user_feature, self.config.data.users)

    @cached_property
    def item(self) -> tuple[Column, ...]:
        """Catalogue features."""
        return self._columns(self.config.features.item, feature_names.item_feature, self.config.data.items)

    @cached_property
    def event(self) -> tuple[Column, ...]:
        """Context and outcome features, and the sessions of tasks."""
        features = self.config.features
        context = self._columns(features.context, feature_names.context_feature)
        sessions = tuple(
            Column(feature_names.session(task), source, "text") for task, source in self.config.sessions.items()
        )
        return context + self._columns(features.outcome, feature_names.outcome_feature) + sessions

    @cached_property
    def user_from_events(self) -> tuple[Column, ...]:
        """The user features, where the interactions hold them and not a users table."""
        return () if self.config.data.users else self.user

    @cached_property
    def positive(self) -> Expression | None:
        """The condition for a positive; None: all events are."""
        return Expression.parse(self.config.positive) if self.config.positive else None

    @cached_property
    def labels(self) -> tuple[Label, ...]:
        """The tasks' labels. A multiclass task without `where` is for the positives."""
        labels = []
        for name, task in self.config.events.items():
            where = Expression.parse(task.where) if task.where else None
            if isinstance(task, LabelledTask):
                labels.append(Label(name, Expression.parse(task.label), where, isinstance(task, BinaryTask)))
            else:
                labels.append(Label(name, None, where or self.positive, is_own_where=where is not None))
        return tuple(labels)

    @cached_property
    def duplicate_columns(self) -> tuple[str, ...]:
        """The columns in which duplicate events agree beside user, item and time: all that is used later."""
        labels = [feature_names.label(label.task) for label in self.labels if label.label is not None]
        weights = [feature_names.weight(label.task) for label in self.labels]
        return ("positive", *labels, *weights, *(column.name for column in self.event))

    @cached_property
    def expressions(self) -> tuple[Expression, ...]:
        """All expressions over the interactions."""
        found = [self.positive, *(e for label in self.labels for e in (label.label, label.where))]
        return tuple(expression for expression in found if expression)

    @cached_property
    def number_columns(self) -> tuple[str, ...]:
        """The columns of the interactions that must hold numbers: of expressions, outliers and features."""
        named = [c for e in self.expressions for c in e.columns if c not in e.text_columns]
        named += [outlier.column for outlier in self.config.cleaning.outliers]
        named += [column.source for column in self.event + self.user_from_events if column.kind == "number"]
        return tuple(dict.fromkeys(named))

    @cached_property
    def event_sources(self) -> tuple[str, ...]:
        """The columns of the interactions that are read."""
        table = self.config.data.interactions
        named = [table.user, table.item, *([table.time] if table.time else []), *self.number_columns]
        named += [c for e in self.expressions for c in e.columns]
        return _sources(named, self.event + self.user_from_events)

    def entity_sources(self, table: EntityTable, columns: tuple[Column, ...]) -> tuple[str, ...]:
        """The columns of the items or users table that are read."""
        return _sources([table.id], columns)

    def _columns(
        self, features: Iterable[AnyFeature], name: Callable[[str], str], table: Table | None = None
    ) -> tuple[Column, ...]:
        """Returns one column for each feature, and those that a cross is made of, as text.

        Args:
          features: The features.
          name: From a feature's name to its name in the examples.
          table: The features' table; None: the interactions.
        """
        features, table = tuple(features), table or self.config.data.interactions
        own = [self._column(feature, name, table) for feature in features if not feature.is_combination]
        crossed = [column for feature in features if feature.is_combination for column in feature.columns]
        taken = {column.name for column in own}
        return (*own, *(Column(name(c), c, "text") for c in dict.fromkeys(crossed) if name(c) not in taken))

    def _column(self, feature: AnyFeature, name: Callable[[str], str], table: Table) -> Column:
        name_, source, kind = name(feature.name), feature.source, feature.value_kind
        if isinstance(feature, MultiValued):
            return Column(name_, source, kind, feature.separator, is_token=True, missing=table.missing)
        if isinstance(feature, Time):
            times = feature.times or table.times or self.config.data.interactions.times
            return Column(name_, source, kind, times=times)
        if kind == "number":
            return Column(name_, source, kind, decimal=table.decimal)
        # Raw values that are no categories are free text, of which a list's values are joined.
        is_token = feature.is_sliceable
        return Column(name_, source, kind, separator="" if is_token else " ", is_token=is_token)


def _sources(named: Iterable[str], columns: Iterable[Column]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*named, *(column.source for column in columns)]))
