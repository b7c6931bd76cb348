"""A user's history and features from the tables, as a request. Rows are read and cleaned as ingest does."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from config import Config
from config.data import DataConfig, Table
from pipeline.ingest import events as cleaned
from pipeline.ingest.batches import Batch
from pipeline.ingest.cleaning import ROW, read_column
from pipeline.ingest.columns import Plan
from pipeline.ingest.events import clean_events
from pipeline.ingest.personal import key_of
from pipeline.ingest.reading import read_batches
from pipeline.ingest.tables import table_files
from pipeline.ingest.values import as_text
from serving.client.personal import hashed
from serving.client.request import Request, Value

_ABSENT: Final[dict[str, Value]] = {"text": "", "number": float("nan"), "time": -1}


@dataclass(frozen=True)
class UserHistory:
    """A user's history and features.

    Attributes:
      user: The id, as the model knows it.
      items: The newest positive events' items, oldest first.
      times: The time of each in seconds since 1970; empty where the log has no time.
      events: Context and outcome features of each, by their name in the examples; None where missing.
      features: User features by their name in the examples, without those that are missing.
    """

    user: str
    items: list[str]
    times: list[int]
    events: dict[str, list[Value | None]]
    features: dict[str, list[Value]]


def find_user_history(config: Config, user: str) -> UserHistory:
    """Reads a user's history from the tables. An unknown user has no events. Raises `TableError`.

    Args:
      config: The configuration.
      user: The id as the tables have it; where its column is personal, the result has its hash.
    """
    plan, data = Plan(config), config.data
    if data.interactions.user in data.interactions.personal:
        user = hashed(user, key_of(data.interactions))
    rows = find_rows(data, data.interactions, data.interactions.user, [user], plan.event_sources)
    events, _ = clean_events(plan, Batch(rows, 0), file=0, first_row=0)
    events = events.filter(events[cleaned.POSITIVE])
    events = events.sort_by([(name, "ascending") for name in (cleaned.TIME, cleaned.FRACTION, ROW)])
    newest = events.slice(max(0, events.num_rows - config.model.history.max_events))
    return UserHistory(
        user,
        items=newest[cleaned.ITEM].to_pylist(),
        times=newest[cleaned.TIME].to_pylist() if data.interactions.time else [],
        events={column.name: newest[column.name].to_pylist() for column in plan.event},
        features=_user_features(plan, user, events),
    )


def make_request(config: Config, history: UserHistory, k: int | None) -> Request:
    """Makes the request of a user at the time of the last event, so that the model sees the whole history."""
    features = dict(history.features)
    for column in Plan(config).event if history.items else ():
        absent = _ABSENT[column.kind]
        features[column.name] = [absent if value is None else value for value in history.events[column.name]]
    return Request(history.user, history.items, [*history.times, *history.times[-1:]], features, k=k)


def find_rows(data: DataConfig, table: Table, key: str, values: Collection[str], columns: Sequence[str]) -> pa.Table:
    """Reads the rows whose column `key` is one of `values`, in the order in which ingest reads them.

    Args:
      data: Where the tables are.
      table: One of them.
      key: The column to search.
      values: The values as text; whole numbers as decimal text.
      columns: The columns to return besides `key`.

    Returns:
      The columns, in the types of the file. Empty where nothing is found.

    Raises:
      TableError: The table cannot be read, or lacks a column.
    """
    wanted, names = pa.array(sorted(set(values)), pa.string()), list(dict.fromkeys([key, *columns]))
    found = [
        batch.rows.filter(pc.is_in(as_text(batch.rows[key]), wanted))
        for path in table_files(data.folder, table, data.span)
        for batch in read_batches(path, table, names)
    ]
    return pa.concat_tables(found, promote_options="permissive") if found else pa.table({n: pa.nulls(0) for n in names})


def _user_features(plan: Plan, user: str, events: pa.Table) -> dict[str, list[Value]]:
    """Reads user features from the users table, or from the user's newest event where there is none."""
    table = plan.config.data.users
    if table is None:
        newest = events.slice(max(0, events.num_rows - 1))
        values = {column.name: newest[column.name].to_pylist() for column in plan.user}
    else:
        sources = plan.entity_sources(table, plan.user)
        rows = find_rows(plan.config.data, table, table.id, [user], sources).slice(0, 1)
        values = {column.name: read_column(column, rows).values.to_pylist() for column in plan.user}
    features = {
        name: [v for row in rows if row is not None for v in (row if isinstance(row, list) else [row])]
        for name, rows in values.items()
    }
    return {name: found for name, found in features.items() if found}
