"""A user's history, recommendations and explanations as tables in the terminal."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import pyarrow as pa

from config import Config
from config.features import Text
from pipeline.cli.common import plain_console, plain_table
from pipeline.cli.user_history import UserHistory, find_rows
from pipeline.ingest.values import as_text
from pipeline.messages import label, one_line
from serving.client import Explanation, Influence, Recommendation
from serving.client.request import Value

_EVENTS = 10
_ITEM_COLUMNS = 3
_PIPE_WIDTH = 120
_LONGEST = 40
"""Characters of an item's feature; in a narrow terminal they wrap."""


class _Column(NamedTuple):
    name: str
    cells: Sequence[str]
    is_number: bool = False
    is_long: bool = False


def show_history(config: Config, history: UserHistory) -> None:
    """Prints the user's features and newest events."""
    known = [f"{name.removeprefix('user_')} {' '.join(map(_word, v))}" for name, v in history.features.items()]
    title = f"User {history.user}" + (f" ({', '.join(known)})" if known else "")
    if not history.items:
        plain_console(_PIPE_WIDTH).print(f"{title}: no history in the log", style="yellow", highlight=False)
        return
    dates = [datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%d %H:%M") for second in history.times[-_EVENTS:]]
    ids = history.items[-_EVENTS:]
    outcomes = {name: values[-_EVENTS:] for name, values in history.events.items() if name.startswith("outcome_")}
    columns = [
        *([_Column("time", dates)] if dates else []),
        _Column("item", ids),
        *_described(config, ids),
        *(_Column(n.removeprefix("outcome_"), list(map(_word, v)), is_number=True) for n, v in outcomes.items()),
    ]
    _print(f"{title}: the last {len(ids)} events", columns)


def show_items(config: Config, items: Sequence[Recommendation], version: int) -> None:
    """Prints the recommended items, best first, with every score the model gives them."""
    ids = [item.item_id for item in items]
    columns = [
        _Column("#", [str(rank) for rank in range(1, len(items) + 1)], is_number=True),
        _Column("item", ids),
        *_described(config, ids),
        _Column("score", [f"{item.score:.3f}" for item in items], is_number=True),
    ]
    for name in sorted(items[0].scores if items else (), key=_task_order(config)):
        cells = [f"{item.scores[name]:.3f}" for item in items]
        columns.append(_Column(name.removesuffix("_score"), cells, is_number=True))
    _print(f"Recommended by version {version}", columns)


def show_explanations(config: Config, explanations: Sequence[Explanation]) -> None:
    """Prints, for each item, the tasks' shares of its score and the events that changed it most."""
    items: list[Explanation | None] = []
    events: list[Influence | None] = []
    for explanation in explanations:
        events += explanation.events or [None]
        items += [explanation, *[None] * (len(explanation.events) - 1)]
    ids = ["" if item is None else item.item_id for item in items]
    columns = [_Column("item", ids), *_described(config, ids)[:1]]
    for name in sorted(items[0].parts if items[0] else (), key=_task_order(config)):
        cells = ["" if item is None else f"{item.shares[name]:+.0%}" for item in items]
        columns.append(_Column(name.removesuffix("_score"), cells, is_number=True))
    ids = ["" if event is None else event.item_id for event in events]
    columns += [
        _Column("because of", ids),
        *_described(config, ids)[:1],
        _Column("events ago", ["" if event is None else str(event.age) for event in events], is_number=True),
        _Column("moved it by", ["" if e is None else f"{e.effect:+.3f}" for e in events], is_number=True),
    ]
    _print("Why: each task's share of the score, and the events without which it would have been another", columns)


def _task_order(config: Config) -> Callable[[str], tuple[int, str]]:
    """Returns a sort key: retrieval's score first, then the tasks' in the configuration's order."""
    order = ["retrieval_score", *config.tasks]
    return lambda name: (order.index(name) if name in order else len(order), name)


def _print(title: str, columns: Sequence[_Column]) -> None:
    table = plain_table(one_line(title))
    for column in columns:
        table.add_column(column.name, justify="right" if column.is_number else "left", no_wrap=not column.is_long)
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(
            *(label(cell, _LONGEST) if c.is_long else one_line(cell) for cell, c in zip(row, columns, strict=True))
        )
    plain_console(_PIPE_WIDTH).print(table)


def _word(value: Value | None) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _described(config: Config, ids: Sequence[str]) -> list[_Column]:
    """Returns up to three columns that describe the items: texts first, then other features."""
    table = config.data.items
    features = sorted(config.features.item, key=lambda feature: not isinstance(feature, Text))
    names = list(dict.fromkeys(f.source for f in features if not f.is_combination))[:_ITEM_COLUMNS]
    if table is None or not names:
        return []
    rows = find_rows(config.data, table, table.id, ids, names)
    index = {item: row for row, item in reversed(list(enumerate(_cells(rows[table.id]))))}
    columns = []
    for name in names:
        cells = _cells(rows[name])
        columns.append(_Column(name, [cells[index[item]] if item in index else "" for item in ids], is_long=True))
    return columns


def _cells(values: pa.ChunkedArray) -> list[str]:
    """Returns any column as text, `""` where missing."""
    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        return ["|".join(map(str, value or ())) for value in values.to_pylist()]
    return [value or "" for value in as_text(values).to_pylist()]
