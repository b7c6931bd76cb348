"""What is known of a user, from the tables, as a request to the model server."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline import layout
from pipeline.cli.rows import find_rows
from pipeline.config import Config
from pipeline.config.data import TimeUnit
from pipeline.config.features import AnyFeature, Cross, MultiValued, Numeric, Time
from pipeline.expressions import Expression
from serving.messages import Request, Value

_PER_SECOND: dict[TimeUnit, int] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


@dataclass(frozen=True)
class Person:
    """A user as the tables know them.

    Attributes:
      user: The id.
      history: The newest positive events in order, oldest first: the rows of the interactions table.
      times: Seconds since 1970 of each; empty where the log has no time.
      features: User features by their name in the examples.
    """

    user: str
    history: pd.DataFrame
    times: list[int]
    features: dict[str, list[Value]]


def find_person(config: Config, user: str) -> Person:
    """Looks the user up in the tables; an unknown one has an empty history. Raises `TableError`, `ValueError`."""
    data = config.data
    events = find_rows(data.folder, data.interactions, data.interactions.user, [user])
    seconds = _seconds(events, data.interactions.time, data.interactions.time_unit)
    events, seconds = _newest_positives(config, events, seconds)
    table = events.tail(1) if data.users is None else find_rows(data.folder, data.users, data.users.id, [user])
    features: dict[str, list[Value]] = {}
    if len(table):
        row = table.iloc[-1]
        for name, column, feature in _raw(config.features.user):
            features[layout.user_feature(name)] = _values(feature, row[column])
    return Person(user, events, [int(second) for second in seconds], {n: v for n, v in features.items() if v})


def make_request(config: Config, person: Person, k: int | None) -> Request:
    """The request of this user at the time of their last event: their history is the whole of what the model sees."""
    features: dict[str, list[Value]] = dict(person.features)
    sections = ((config.features.context, layout.context_feature), (config.features.outcome, layout.outcome_feature))
    for section, full_name in sections:
        for name, column, feature in _raw(section):
            features[full_name(name)] = [_event_value(feature, value) for value in person.history[column]]
    return Request(
        user_id=person.user,
        history=person.history[config.data.interactions.item].tolist(),
        times=[*person.times, *person.times[-1:]],
        features={name: values for name, values in features.items() if values},
        k=k,
    )


def _newest_positives(config: Config, events: pd.DataFrame, seconds: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """The newest events of the history, in the order of (time, row)."""
    if config.positive is not None and len(events):
        expression = Expression.parse(config.positive)
        columns = {name: _column(events[name], name in expression.text_columns) for name in expression.columns}
        value, is_present = expression.evaluate(columns)
        chosen = is_present & (value != 0)
        events, seconds = events[chosen], seconds[chosen] if len(seconds) else seconds
    order = np.argsort(seconds, kind="stable") if len(seconds) else np.arange(len(events))
    newest = order[-config.model.history.max_events :]
    return events.iloc[newest], seconds[newest] if len(seconds) else seconds


def _column(values: pd.Series, is_text: bool) -> np.ndarray:
    return values.to_numpy(object) if is_text else pd.to_numeric(values, errors="coerce").to_numpy(float)


def _seconds(events: pd.DataFrame, column: str | None, unit: TimeUnit) -> np.ndarray:
    """Whole seconds since 1970, shape [n]; empty where there is no time."""
    if column is None or not len(events):
        return np.empty(0, np.int64)
    if unit == "iso8601":
        return pd.to_datetime(events[column], utc=True, format="ISO8601").astype("int64").to_numpy() // 10**9
    return (pd.to_numeric(events[column]).to_numpy() // _PER_SECOND[unit]).astype(np.int64)


def _raw(features: tuple[AnyFeature, ...]) -> Iterator[tuple[str, str, AnyFeature | None]]:
    """The raw features as (name, column, feature); the columns of a cross are categorical features of their own."""
    for feature in features:
        if isinstance(feature, Cross):
            yield from ((column, column, None) for column in feature.of)
        else:
            yield feature.name, feature.source, feature


def _values(feature: AnyFeature | None, found: Any) -> list[Value]:
    """The values of a user feature; none where missing."""
    if isinstance(feature, MultiValued):
        parts = found.split(feature.separator) if isinstance(found, str) else list(found)
        return [str(part).strip() for part in parts if str(part).strip()]
    if found == "":
        return []
    value = _event_value(feature, found)
    return [] if value != value else [value]


def _event_value(feature: AnyFeature | None, found: str) -> Value:
    """One value of an event's feature; NaN, -1 or `""` where missing."""
    if isinstance(feature, Numeric):
        return float(pd.to_numeric(found or np.nan, errors="coerce"))
    if isinstance(feature, Time):
        number = pd.to_numeric(found or np.nan, errors="coerce")
        return -1 if np.isnan(number) else int(number)
    return found
