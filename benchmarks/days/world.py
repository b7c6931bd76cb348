"""A shop that drifts: users whose tastes move, items, the log of a day, and clicks on what is recommended."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

GENRES: Final = ("drama", "comedy", "crime", "war", "fantasy", "music")
DEVICES: Final = ("phone", "desktop", "tv")
START: Final = 1_700_000_000 // 86_400 * 86_400
"""Midnight before day 1, in seconds since 1970."""
DAY: Final = 86_400
_AT_HOME: Final = 0.8
"""The probability that an event of a user's own accord is of the favourite genre."""
_CLICK: Final = {True: 0.5, False: 0.08}
"""The probability of a click on a shown item of the favourite genre, and of another, at rank 1."""

Event = tuple[str, str, int, int, str]
"""User, item, time, rating, device: a row of the log."""


class World:
    """Users, items and what happens on a day. The same seed is the same world.

    Args:
      users: The number of users, `u0`, ...
      items: The number of items at first, `i0`, ...
      seed: Of all that is random.

    Attributes:
      items: The ids of the items; more may be added.
      histories: Each user's events, the oldest first.
      asking: Chooses who is shown recommendations.
    """

    def __init__(self, users: int = 300, items: int = 240, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self.asking = np.random.default_rng(seed + 1)
        self._tastes = self._rng.integers(len(GENRES), size=users)
        self.items = [f"i{n}" for n in range(items)]
        self.histories: dict[str, list[Event]] = {f"u{n}": [] for n in range(users)}

    @staticmethod
    def genre(item: str) -> int:
        """Returns the index of an item's genre in `GENRES`."""
        return int(item[1:]) % len(GENRES)

    def taste(self, user: str) -> int:
        """Returns the index of a user's favourite genre today."""
        return int(self._tastes[int(user[1:])])

    def organic_events(self, day: int, count: int) -> list[Event]:
        """Returns what users do of their own accord on a day; before, a twentieth of them change their taste."""
        moved = self._rng.random(len(self._tastes)) < 0.05
        self._tastes = np.where(moved, self._rng.integers(len(GENRES), size=len(moved)), self._tastes)
        times = np.sort(self._rng.integers(DAY, size=count)) + START + (day - 1) * DAY
        return [self._event(f"u{self._rng.integers(len(self._tastes))}", int(time)) for time in times]

    def clicks(self, user: str, items: Sequence[str], time: int) -> list[Event]:
        """Returns the events by which a user answers a list of recommendations, the best first."""
        events = []
        for rank, item in enumerate(items, start=1):
            chance = _CLICK[self.genre(item) == self.taste(user)] / np.log2(1 + rank)
            if self._rng.random() < chance:
                events.append((user, item, time + 60 * rank, self._rating(user, item), self._device()))
        return events

    def happened(self, events: Sequence[Event]) -> None:
        """Adds events to the users' histories."""
        for event in sorted(events, key=lambda event: event[2]):
            self.histories[event[0]].append(event)

    def _event(self, user: str, time: int) -> Event:
        genre = self.taste(user) if self._rng.random() < _AT_HOME else int(self._rng.integers(len(GENRES)))
        of_genre = [item for item in self.items if self.genre(item) == genre]
        item = of_genre[min(int(self._rng.exponential(len(of_genre) / 4)), len(of_genre) - 1)]
        return user, item, time, self._rating(user, item), self._device()

    def _rating(self, user: str, item: str) -> int:
        mean = 4.3 if self.genre(item) == self.taste(user) else 2.5
        return int(np.clip(np.rint(self._rng.normal(mean, 0.7)), 1, 5))

    def _device(self) -> str:
        return DEVICES[int(self._rng.integers(len(DEVICES)))]


def write_log(path: Path, events: Sequence[Event], device: str | None = None) -> None:
    """Writes a day's log.

    Args:
      path: A CSV file; its folder is made.
      events: The rows.
      device: In every row in place of its own: what a broken tracker writes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [(*event[:4], device or event[4]) for event in sorted(events, key=lambda event: event[2])]
    _write(path, ("user_id", "item_id", "timestamp", "rating", "device"), rows)


def write_items(path: Path, items: Sequence[str], years: Mapping[str, int] | None = None) -> None:
    """Writes the items table."""
    rows = [(i, GENRES[World.genre(i)], (years or {}).get(i, 1960 + int(i[1:]) % 60)) for i in items]
    _write(path, ("item_id", "genre", "year"), rows)


def _write(path: Path, header: Sequence[str], rows: Sequence[tuple[object, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
