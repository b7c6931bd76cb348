"""What the tables know of a user, as a request to the model server. Rows are read and cleaned as ingest does."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from config import Config
from pipeline.cli.rows import find_rows
from pipeline.ingest import events as cleaned
from pipeline.ingest.cleaning import ROW, read_column
from pipeline.ingest.columns import Plan
from pipeline.ingest.events import clean_events
from pipeline.ingest.reading import Batch
from serving.client.request import Request, Value

_ABSENT: Final[dict[str, Value]] = {"text": "", "number": float("nan"), "time": -1}


@dataclass(frozen=True)
class UserHistory:
    """A user as the tables know them.

    Attributes:
      user: The id.
      items: The newest positive events' items, oldest first.
      times: Seconds since 1970 of each; empty where the log has no time.
      events: Context and outcome features of each, by their name in the examples; None where missing.
      features: User features by their name in the examples; those that are missing are not there.
    """

    user: str
    items: list[str]
    times: list[int]
    events: dict[str, list[Value | None]]
    features: dict[str, list[Value]]


def find_user_history(config: Config, user: str) -> UserHistory:
    """Looks the user up in the tables; an unknown one has no events. Raises `TableError`."""
    plan = Plan(config)
    events = _history(plan, user)
    newest = events.slice(max(0, events.num_rows - config.model.history.max_events))
    return UserHistory(
        user,
        items=newest[cleaned.ITEM].to_pylist(),
        times=newest[cleaned.TIME].to_pylist() if config.data.interactions.time else [],
        events={column.name: newest[column.name].to_pylist() for column in plan.event},
        features=_user_features(plan, user, events),
    )


def make_request(config: Config, person: UserHistory, k: int | None) -> Request:
    """The request of this user at the time of their last event: their history is the whole of what the model sees."""
    features = dict(person.features)
    for column in Plan(config).event if person.items else ():
        absent = _ABSENT[column.kind]
        features[column.name] = [absent if value is None else value for value in person.events[column.name]]
    return Request(person.user, person.items, [*person.times, *person.times[-1:]], features, k=k)


def _history(plan: Plan, user: str) -> pa.Table:
    """The user's positive events, ordered by (time, row)."""
    data = plan.config.data
    rows = find_rows(data.folder, data.interactions, data.interactions.user, [user], plan.event_sources)
    events, _ = clean_events(plan, Batch(rows, 0), file=0, first_row=0)
    events = events.filter(events[cleaned.POSITIVE])
    return events.sort_by([(name, "ascending") for name in (cleaned.TIME, cleaned.FRACTION, ROW)])


def _user_features(plan: Plan, user: str, events: pa.Table) -> dict[str, list[Value]]:
    """From the users table, or from the user's newest event where there is none."""
    table = plan.config.data.users
    if table is None:
        newest = events.slice(max(0, events.num_rows - 1))
        values = {column.name: newest[column.name].to_pylist() for column in plan.user}
    else:
        sources = plan.entity_sources(table, plan.user)
        rows = find_rows(plan.config.data.folder, table, table.id, [user], sources).slice(0, 1)
        values = {column.name: read_column(column, rows).values.to_pylist() for column in plan.user}
    features = {name: [value for row in rows for value in _present(row)] for name, rows in values.items()}
    return {name: present for name, present in features.items() if present}


def _present(value: Any) -> Iterable[Value]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
