"""A history and a recommendation as tables in the terminal."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pandas as pd
from rich.console import Console
from rich.table import Table

from pipeline.cli.person import Person
from pipeline.cli.rows import find_rows
from pipeline.config import Config
from pipeline.config.features import Text
from serving.messages import Recommendation

_EVENTS = 10
_ITEM_COLUMNS = 3


def show_history(config: Config, person: Person) -> None:
    """Prints the user's features and newest events."""
    known = ", ".join(f"{name.removeprefix('user_')} {' '.join(map(str, v))}" for name, v in person.features.items())
    title = f"User {person.user}" + (f" ({known})" if known else "")
    if not len(person.history):
        Console().print(f"{title}: no history in the log", style="yellow", highlight=False)
        return
    recent = person.history.tail(_EVENTS)
    ids = recent[config.data.interactions.item].tolist()
    table = Table(title=f"{title}: the last {len(recent)} of {len(person.history)} events", title_justify="left")
    outcomes = [feature.source for feature in config.features.outcome if hasattr(feature, "source")]
    outcomes = [column for column in dict.fromkeys(outcomes) if column in recent.columns]
    items = _describe(config, ids)
    _head(table, [*(["time"] if person.times else []), "item", *items.columns, *outcomes], [])
    dates = [[datetime.fromtimestamp(t, UTC).strftime("%Y-%m-%d %H:%M")] for t in person.times[-len(recent) :]]
    for index, item in enumerate(ids):
        when = dates[index] if dates else []
        table.add_row(*when, item, *items.loc[item], *(recent[column].iloc[index] for column in outcomes))
    Console().print(table)


def show_items(config: Config, items: Sequence[Recommendation], version: int, address: str) -> None:
    """Prints the recommended items, best first, with every score the model gives them."""
    described = _describe(config, [item.item_id for item in items])
    scores = list(items[0].scores) if items else []
    table = Table(title=f"Recommended by version {version} ({len(items)} items)", title_justify="left")
    _head(table, ["#", "item", *described.columns], ["score", *scores])
    for place, item in enumerate(items, 1):
        numbers = [item.score, *(item.scores[name] for name in scores)]
        table.add_row(str(place), item.item_id, *described.loc[item.item_id], *(f"{n:.3f}" for n in numbers))
    Console().print(table)


def _head(table: Table, texts: Sequence[str], numbers: Sequence[str]) -> None:
    for name in texts:
        table.add_column(name, max_width=48)
    for name in numbers:
        table.add_column(name, justify="right")


def _describe(config: Config, ids: Sequence[str]) -> pd.DataFrame:
    """What a person knows an item by, indexed by id: its texts first, then other features, a few columns."""
    table = config.data.items
    features = sorted(config.features.item, key=lambda feature: not isinstance(feature, Text))
    columns = list(dict.fromkeys(f.source for f in features if f.kind != "cross"))[:_ITEM_COLUMNS]
    if table is None or not columns:
        return pd.DataFrame(index=pd.Index(ids).unique())
    rows = find_rows(config.data.folder, table, table.id, ids).drop_duplicates(table.id).set_index(table.id)
    return rows[columns].map(str).reindex(pd.Index(ids).unique(), fill_value="")
