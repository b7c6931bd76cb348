"""Which columns of which table become which features of the examples: the configuration as a plan of reading."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal

import pyarrow as pa

from config import Config, feature_names
from config.data import EntityTable, Table
from config.expressions import Expression
from config.features import AnyFeature, Cross, MultiValued, Numeric, Text, Time
from config.tasks import BinaryTask, EventTask, LabelledTask

Kind = Literal["text", "number", "time", "list"]

TYPES: Final[dict[str, pa.DataType]] = {
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
      kind: How its values are read; `list` is text cut at `separator`.
      separator: Of `list`; of a text feature what a list's values are joined by.
      is_token: Whether a value is an entry of a vocabulary, which holds no line ends.
      times: How the table writes times: a `TimeUnit` or a format of strptime; only for `time`.
      decimal: What stands before the decimals of numbers that are text; only for `number`.
      missing: The table's words for a missing value, for those in a `list`.
    """

    name: str
    source: str
    kind: Kind
    separator: str = ""
    is_token: bool = False
    times: str = "s"
    decimal: str = "."
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Label:
    """A task's label and the rows that it is for.

    Attributes:
      label: None where the label is no column of the events but the item's (multiclass).
      where: None: all rows.
      is_chance: Whether the label has to lie in [0, 1].
      is_own_where: Whether the task has a `where` of its own.
    """

    task: str
    label: Expression | None
    where: Expression | None
    is_chance: bool = False
    is_own_where: bool = True


@dataclass(frozen=True)
class Plan:
    """What ingest reads from each table.

    Attributes:
      config: The configuration.
      now: When ingest began, seconds since 1970.
    """

    config: Config
    now: float = field(default_factory=time.time, compare=False)

    @property
    def latest(self) -> float | None:
        """The last second in which an event can have happened; None: any."""
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
        """The user features, where the interactions hold them."""
        return () if self.config.data.users else self.user

    @cached_property
    def positive(self) -> Expression | None:
        """Which events are positives; None: all."""
        return Expression.parse(self.config.positive) if self.config.positive else None

    @cached_property
    def labels(self) -> tuple[Label, ...]:
        """The tasks' labels. A multiclass task without `where` is for the positives."""
        return tuple(self._label(name, task) for name, task in self.config.events.items())

    def _label(self, name: str, task: EventTask) -> Label:
        where = Expression.parse(task.where) if task.where else None
        if isinstance(task, LabelledTask):
            return Label(name, Expression.parse(task.label), where, isinstance(task, BinaryTask))
        return Label(name, None, where or self.positive, is_own_where=where is not None)

    @cached_property
    def telling(self) -> tuple[str, ...]:
        """What tells clean events of the same user, item and time from each other: what tasks and features read."""
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
        """All columns of the interactions that are read."""
        table = self.config.data.interactions
        named = [table.user, table.item, *([table.time] if table.time else []), *self.number_columns]
        named += [c for e in self.expressions for c in e.columns]
        return _sources(named, self.event + self.user_from_events)

    def entity_sources(self, table: EntityTable, columns: tuple[Column, ...]) -> tuple[str, ...]:
        """All columns of the items or users table that are read."""
        return _sources([table.id], columns)

    def _columns(
        self, features: Iterable[AnyFeature], name: Callable[[str], str], table: Table | None = None
    ) -> tuple[Column, ...]:
        """One column for each feature; a cross needs the columns that it is of, as text. Without a table of their own
        they stand in the interactions."""
        features, table = tuple(features), table or self.config.data.interactions
        own = [self._column(feature, name, table) for feature in features if not isinstance(feature, Cross)]
        crossed = [c for feature in features if isinstance(feature, Cross) for c in feature.of]
        taken = {column.name for column in own}
        return (*own, *(Column(name(c), c, "text") for c in dict.fromkeys(crossed) if name(c) not in taken))

    def _column(self, feature: AnyFeature, name: Callable[[str], str], table: Table) -> Column:
        name_, source = name(feature.name), feature.source
        if isinstance(feature, MultiValued):
            return Column(name_, source, "list", feature.separator, is_token=True, missing=table.missing)
        if isinstance(feature, Numeric):
            return Column(name_, source, "number", decimal=table.decimal)
        if isinstance(feature, Time):
            times = feature.times or table.times or self.config.data.interactions.times
            return Column(name_, source, "time", times=times)
        if isinstance(feature, Text):
            return Column(name_, source, "text", separator=" ")
        return Column(name_, source, "text", is_token=True)


def _sources(named: Iterable[str], columns: Iterable[Column]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*named, *(column.source for column in columns)]))
