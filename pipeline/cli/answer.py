"""A history and a recommendation as tables in the terminal."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

import pyarrow as pa
from rich import box
from rich.cells import cell_len
from rich.table import Table

from config import Config
from config.features import Text
from pipeline.cli.console import plain_console
from pipeline.cli.rows import find_rows
from pipeline.cli.user_history import UserHistory
from pipeline.ingest.values import as_text
from pipeline.visible import one_line
from serving.client import Explanation, Influence, Recommendation
from serving.client.request import Value

_EVENTS = 10
_ITEM_COLUMNS = 3
_PIPE_WIDTH = 120
"""Characters, where the output is no terminal."""
_SHORTEST = 8
_PADDING = 3
"""Characters beside each column."""


@dataclass(frozen=True)
class _Column:
    name: str
    cells: Sequence[str]
    is_number: bool = False
    is_long: bool = False
    """May be cut where the terminal is narrow."""

    @property
    def width(self) -> int:
        """Characters of the longest cell."""
        return max(map(cell_len, [self.name, *self.cells]))


def show_history(config: Config, person: UserHistory) -> None:
    """Prints the user's features and newest events."""
    title = f"User {person.user}{_known(person)}"
    if not person.items:
        plain_console().print(f"{title}: no history in the log", style="yellow", highlight=False)
        return
    dates = [datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%d %H:%M") for second in person.times[-_EVENTS:]]
    ids = person.items[-_EVENTS:]
    outcomes = {name: values[-_EVENTS:] for name, values in person.events.items() if name.startswith("outcome_")}
    _print(
        f"{title}: the last {len(ids)} events",
        [
            *([_Column("time", dates)] if dates else []),
            _Column("item", ids),
            *_described(config, ids),
            *(_Column(n.removeprefix("outcome_"), list(map(_word, v)), is_number=True) for n, v in outcomes.items()),
        ],
    )


def show_items(config: Config, items: Sequence[Recommendation], version: int) -> None:
    """Prints the recommended items, best first, with every score the model gives them."""
    ids = [item.item_id for item in items]
    columns = [
        _Column("#", [str(place) for place in range(1, len(items) + 1)], is_number=True),
        _Column("item", ids),
        *_described(config, ids),
        _Column("score", _decimals(item.score for item in items), is_number=True),
    ]
    for name in sorted(items[0].scores if items else (), key=_place(config)):
        cells = _decimals(item.scores[name] for item in items)
        columns.append(_Column(name.removesuffix("_score"), cells, is_number=True))
    _print(f"Recommended by version {version}", columns)


def show_explanations(config: Config, explanations: Sequence[Explanation]) -> None:
    """Prints, for each item, the tasks' shares of its utility and the events that moved it most."""
    items: list[Explanation | None] = []
    events: list[Influence | None] = []
    for explanation in explanations:
        events += explanation.events or [None]
        items += [explanation, *[None] * (len(explanation.events) - 1)]
    columns = [*_shares(config, items), *_reasons(config, events)]
    _print("Why: each task's share of the score, and the events without which it would have been another", columns)


def _shares(config: Config, items: Sequence[Explanation | None]) -> Iterator[_Column]:
    """The items and the tasks' shares; empty cells for None."""
    ids = ["" if item is None else item.item_id for item in items]
    yield _Column("item", ids)
    yield from _described(config, ids)[:1]
    for name in sorted(items[0].parts if items[0] else (), key=_place(config)):
        cells = ["" if item is None else f"{item.shares[name]:+.0%}" for item in items]
        yield _Column(name.removesuffix("_score"), cells, is_number=True)


def _reasons(config: Config, events: Sequence[Influence | None]) -> Iterator[_Column]:
    """The events and their effects; empty cells for None."""
    ids = ["" if event is None else event.item_id for event in events]
    yield _Column("because of", ids)
    yield from _described(config, ids)[:1]
    yield _Column("events ago", ["" if event is None else str(event.age) for event in events], is_number=True)
    yield _Column("moved it by", ["" if event is None else f"{event.effect:+.3f}" for event in events], is_number=True)


def _place(config: Config) -> Callable[[str], tuple[int, str]]:
    """Retrieval's score first, then the tasks' in the configuration's order (the wire has none)."""
    order = ["retrieval_score", *config.tasks]
    return lambda name: (order.index(name) if name in order else len(order), name)


def _print(title: str, columns: Sequence[_Column]) -> None:
    columns = [replace(column, cells=list(map(one_line, column.cells))) for column in columns]
    widths = fit([column.width for column in columns], [column.is_long for column in columns], _terminal_width())
    table = Table(title=one_line(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for column, width in zip(columns, widths, strict=True):
        justify: Literal["right", "left"] = "right" if column.is_number else "left"
        table.add_column(column.name, justify=justify, width=width, no_wrap=True)
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*row)
    plain_console(width=sum(widths) + _PADDING * (len(widths) + 1)).print(table)


def fit(widths: Sequence[int], is_long: Sequence[bool], total: int) -> list[int]:
    """The columns' widths, the widest of the long ones cut until all fit into `total`, but none below `_SHORTEST`."""
    fitted = list(widths)
    too_much = sum(widths) + _PADDING * (len(widths) + 1) - total
    for _ in range(too_much):
        widest = max((i for i, long in enumerate(is_long) if long), key=lambda i: fitted[i], default=None)
        if widest is None or fitted[widest] <= _SHORTEST:
            break
        fitted[widest] -= 1
    return fitted


def _terminal_width() -> int:
    console = plain_console()
    return console.width if console.is_terminal else _PIPE_WIDTH


def _known(person: UserHistory) -> str:
    """` (age 24, gender M)`."""
    parts = []
    for name, values in person.features.items():
        parts.append(f"{name.removeprefix('user_')} {' '.join(map(_word, values))}")
    return f" ({', '.join(parts)})" if parts else ""


def _word(value: Value | None) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _described(config: Config, ids: Sequence[str]) -> list[_Column]:
    """What a person knows an item by: its texts first, then other features, a few columns."""
    table = config.data.items
    features = sorted(config.features.item, key=lambda feature: not isinstance(feature, Text))
    columns = list(dict.fromkeys(f.source for f in features if not f.is_combination))[:_ITEM_COLUMNS]
    if table is None or not columns:
        return []
    rows = find_rows(config.data.folder, table, table.id, ids, columns)
    place = {item: index for index, item in reversed(list(enumerate(_cells(rows[table.id]))))}
    found = {name: _cells(rows[name]) for name in columns}
    return [
        _Column(name, [cells[place[item]] if item in place else "" for item in ids], is_long=True)
        for name, cells in found.items()
    ]


def _cells(values: pa.ChunkedArray) -> list[str]:
    """Any column as text, `""` where missing."""
    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        return ["|".join(map(str, value or ())) for value in values.to_pylist()]
    return [value or "" for value in as_text(values).to_pylist()]


def _decimals(values: Iterable[float]) -> list[str]:
    return [f"{value:.3f}" for value in values]
