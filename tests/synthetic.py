"""A small data set that is the same at every call: what the tests of all rooms run on.

Items stand in clusters of equal size. A user stays mostly in one favourite cluster and mostly steps to the item's
successor in it, so the last event tells much about the next one: a model of the order beats popularity by far.
Ratings are high inside the favourite cluster.
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

GENRES = ("drama", "comedy", "crime", "war", "fantasy")
DEVICES = ("phone", "desktop", "tv")
START = 1_700_000_000
"""The first event's time at the earliest, seconds since 1970."""
UNTOUCHED_ITEMS = 5
"""The last items of the table occur in no event."""
DIRTY_ROWS = {"duplicate": 3, "missing user": 2, "missing item": 1, "unparsable time": 1, "unparsable rating": 2}
"""What is wrong in the table of interactions, by the number of rows."""


@dataclass(frozen=True)
class Event:
    """One clean row of the interactions."""

    user: int
    item: int
    time: int
    rating: int
    device: str


def write_tables(folder: str | Path, users: int = 150, items: int = 100, events: int = 4000, seed: int = 0) -> None:
    """Writes `interactions.csv`, `items.csv` and `users.csv` into a folder, which is made where it is missing.

    Args:
      folder: Where to.
      users: Number of users, `u0`, `u1`, ...; the last has one event only. Every tenth is in no users table.
      items: Number of items, `i0`, ...; the last `UNTOUCHED_ITEMS` occur in no event, every seventh has no features.
      events: Number of clean rows, roughly evenly over users (at least one each). `DIRTY_ROWS` come on top.
      seed: Another seed is another log of the same structure: the clusters and their order stay.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    log = make_events(users, items, events, rng)
    _write(folder / "interactions.csv", ("user_id", "item_id", "timestamp", "rating", "device"), _with_dirt(log, rng))
    _write(folder / "items.csv", ("item_id", "title", "year", "genres"), _item_rows(items))
    _write(folder / "users.csv", ("user_id", "age", "gender"), _user_rows(users, np.random.default_rng(seed)))


def make_events(users: int, items: int, events: int, rng: np.random.Generator) -> list[Event]:
    """The clean rows in the order of their times over all users; some of a user's events share a time."""
    counts = 1 + rng.multinomial(events - users, [1 / (users - 1)] * (users - 1) + [0.0])
    log = [event for user, count in enumerate(counts) for event in _events_of(user, int(count), items, rng)]
    return sorted(log, key=lambda event: event.time)


def cluster_of(item: int) -> int:
    """The cluster of an item: an index into `GENRES`."""
    return item % len(GENRES)


def write_config(folder: str | Path, **overrides: Any) -> Path:
    """Writes `config.yaml` beside the tables and returns its path.

    Args:
      folder: The folder of `write_tables`.
      **overrides: Top-level keys; mappings are merged into the default's, deeply, anything else replaces it.
        `split={"method": "random"}`, `tasks={"rating": {"weight": 0.5}}`, `cleaning={"core": {"users": 5}}`.
    """
    folder = Path(folder)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(_merge(default_config(folder), overrides), sort_keys=False), encoding="utf-8")
    return path


def default_config(folder: str | Path) -> dict[str, Any]:
    """What `write_config` starts from: every kind of table and most kinds of feature, a small model, short training."""
    return {
        "name": "synthetic",
        "data": {
            "folder": str(folder),
            "interactions": {"path": "interactions.csv"},
            "items": {"path": "items.csv", "id": "item_id"},
            "users": {"path": "users.csv", "id": "user_id"},
        },
        "split": {"method": "leave_last_out", "history": "rolling"},
        "features": {
            "user": [{"name": "age", "kind": "numeric"}, {"name": "gender", "kind": "categorical"}],
            "item": [
                {"name": "genres", "kind": "multi_valued", "separator": "|"},
                {"name": "year", "kind": "numeric", "scale": "quantile", "buckets": 4},
                {"name": "title", "kind": "text"},
            ],
            "context": [{"name": "device", "kind": "categorical"}],
            "outcome": [{"name": "rating", "kind": "numeric"}],
        },
        "tasks": {
            "retrieval": {"kind": "retrieval"},
            "rating": {"kind": "regression", "label": "rating", "min": 1, "max": 5, "weight": 0.1},
            "like": {"kind": "binary", "label": "rating >= 4", "weight": 0.1},
        },
        "model": {"dimension": 16, "history": {"max_events": 20, "min_context": 5, "encoder": "decay"}},
        "training": {"epochs": 4, "batch_size": 16},
        "evaluation": {"ks": [5, 10], "slices": ["user_gender"]},
        "pipeline": {"root": str(Path(folder) / "pipelines")},
    }


def _events_of(user: int, count: int, items: int, rng: np.random.Generator) -> list[Event]:
    favourite, clusters = user % len(GENRES), len(GENRES)
    size = (items - UNTOUCHED_ITEMS) // clusters
    time = START + int(rng.integers(0, 30 * 86_400))
    step = int(rng.integers(size))
    log: list[Event] = []
    for _ in range(count):
        at_home = rng.random() < 0.9
        step = (step + 1) % size if rng.random() < 0.8 else int(rng.integers(size))
        item = step * clusters + (favourite if at_home else int(rng.integers(clusters)))
        if any((e.item, e.time) == (item, time) for e in log[-4:]):
            time += 60  # or it would be a duplicate
        rating = int(np.clip(np.rint(rng.normal(4.3 if cluster_of(item) == favourite else 2.3, 0.7)), 1, 5))
        log.append(Event(user, item, time, rating, DEVICES[int(rng.integers(len(DEVICES)))]))
        time += 0 if rng.random() < 0.2 else int(rng.integers(60, 86_400))
    return log


def _with_dirt(log: Sequence[Event], rng: np.random.Generator) -> list[tuple[str, ...]]:
    """The rows of the log, every fiftieth without a device, with `DIRTY_ROWS` at random places."""
    rows: list[tuple[str, ...]] = [(f"u{e.user}", f"i{e.item}", str(e.time), str(e.rating), e.device) for e in log]
    rows = [(*row[:4], "" if n % 50 == 0 else row[4]) for n, row in enumerate(rows)]
    breaks = {
        "missing user": (0, ""),
        "missing item": (1, ""),
        "unparsable time": (2, "soon"),
        "unparsable rating": (3, "good"),
    }
    for reason, count in DIRTY_ROWS.items():
        for _ in range(count):
            place = int(rng.integers(len(rows)))
            row = list(rows[place]) if reason == "duplicate" else ["u0", "i0", str(START), "3", "tv"]
            if reason in breaks:
                column, value = breaks[reason]
                row[column] = value
            rows.insert(place + 1, tuple(row))
    return rows


def _item_rows(items: int) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for item in range(items):
        genre, other = GENRES[cluster_of(item)], GENRES[(item // 7) % len(GENRES)]
        features = (
            f"The {genre} number {item}",
            str(1960 + item % 60),
            genre if genre == other else f"{genre}|{other}",
        )
        rows.append((f"i{item}", *(("", "", "") if item % 7 == 3 else features)))
    return rows


def _user_rows(users: int, rng: np.random.Generator) -> list[tuple[str, ...]]:
    ages, genders, known = rng.integers(16, 80, users), rng.integers(0, 2, users), rng.random((users, 2)) > 0.1
    return [
        (f"u{u}", str(ages[u]) if known[u, 0] else "", "FM"[genders[u]] if known[u, 1] else "")
        for u in range(users)
        if u % 10 != 9
    ]


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def _merge(base: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in overrides.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
