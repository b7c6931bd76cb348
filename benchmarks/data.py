"""The data that benchmarks generate: embeddings to search, and logs on which choices are hard.

The logs have few events for each user, or popularity that drifts while users come and go. They have the form of the
MovieLens-100K tables.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float32]
MOVIELENS: Final = Path("data/movielens-100k")
FEW: Final = Path("data/movielens-100k-few")
DRIFTING: Final = Path("data/drifting")
DAY: Final = 86_400
_START: Final = 1_600_000_000
_GENRES: Final = 8
_EVENTS: Final = "interactions.csv"


def clustered(items: int, queries: int, dimension: int, seed: int = 0) -> tuple[Floats, Floats]:
    """Topics of Zipf sizes inside 32 themes, an item at a cosine of about 0.8 to its topic, queries like items.

    Returns:
        Unit vectors, float32 [items, dimension] and [queries, dimension].
    """
    generator = np.random.default_rng(seed)
    topics = max(16, int(items**0.5))
    themes = _unit(_normal(generator, 32, dimension))[generator.integers(0, 32, topics)]
    centres = _unit(themes + 0.9 * _unit(_normal(generator, topics, dimension)))
    share = 1 / np.arange(1, topics + 1) ** 0.8

    def draw(count: int) -> Floats:
        topic = generator.choice(topics, count, p=share / share.sum())
        return _unit(centres[topic] + 0.7 * _unit(_normal(generator, count, dimension)))

    return draw(items), draw(queries)


def spectrum(items: int, queries: int, dimension: int, seed: int = 0) -> tuple[Floats, Floats]:
    """No clusters, but dimensions whose deviations fall as 1 / n, as those of factorised interactions do."""
    generator = np.random.default_rng(seed)
    deviation = (1 / np.arange(1, dimension + 1)).astype(np.float32)
    return tuple(_unit(_normal(generator, count, dimension) * deviation) for count in (items, queries))  # type: ignore[return-value]


def gaussian(items: int, queries: int, dimension: int, seed: int = 0) -> tuple[Floats, Floats]:
    """Directions without any structure: the worst case of every partition, and unlike anything that was trained."""
    generator = np.random.default_rng(seed)
    return _unit(_normal(generator, items, dimension)), _unit(_normal(generator, queries, dimension))


KINDS: dict[str, Callable[..., tuple[Floats, Floats]]] = {
    "clustered": clustered,
    "spectrum": spectrum,
    "gaussian": gaussian,
}


def _normal(generator: np.random.Generator, rows: int, columns: int) -> Floats:
    return generator.standard_normal((rows, columns), dtype=np.float32)


def _unit(vectors: Floats) -> Floats:
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def write_missing() -> None:
    """Writes those of the logs that are not there.

    Raises:
      FileNotFoundError: The tables of MovieLens-100K are missing too.
    """
    if not (FEW / _EVENTS).exists():
        write_few(MOVIELENS, FEW)
        print(f"written: {FEW}")
    if not (DRIFTING / _EVENTS).exists():
        write_drifting(DRIFTING)
        print(f"written: {DRIFTING}")


def write_few(source: Path, target: Path, events: int = 4, seed: int = 0) -> None:
    """Copies a MovieLens-100K with so many random events of each user, in the order of the source's rows."""
    target.mkdir(parents=True, exist_ok=True)
    log = pd.read_csv(source / _EVENTS)
    kept = log.sample(frac=1, random_state=seed).groupby("user_id", sort=False).head(events)
    kept.sort_index().to_csv(target / _EVENTS, index=False)
    for name in ("items.csv", "users.csv"):
        (target / name).write_bytes((source / name).read_bytes())


def write_drifting(target: Path, users: int = 6_000, items: int = 1_500, seed: int = 0) -> None:
    """Writes a log of a year, in which items come, are in fashion and fade, and most users stay for a day."""
    target.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    genre, born = rng.integers(0, _GENRES, items), rng.uniform(-120, 365, items)
    log = drifting_events(users, genre, born, rng)
    log.to_csv(target / _EVENTS, index=False)
    table = {"item_id": np.arange(items), "title": "", "year": "", "genres": [f"genre {g}" for g in genre]}
    pd.DataFrame(table).to_csv(target / "items.csv", index=False)
    table = {"user_id": np.arange(users), "age": rng.integers(16, 70, users), "gender": "", "occupation": ""}
    pd.DataFrame(table).to_csv(target / "users.csv", index=False)


def drifting_events(
    users: int, genre: np.ndarray, born: np.ndarray, rng: np.random.Generator, days: int = 365
) -> pd.DataFrame:
    """Returns the events in the order of their times: `user_id`, `item_id`, `rating`, `timestamp`.

    An item's popularity falls exponentially from the day on which it comes, slower for some; users prefer some genres.
    Seven of ten users have one session, the others come back for weeks. Ratings are the sum of user and item biases,
    the user's preference for the genre and noise.

    Args:
      users: Their number; more of them come late than early.
      genre: int [V] of the items.
      born: float [V], the day on which an item comes; negative before the first.
      rng: Of all draws.
      days: The log's span.
    """
    size = len(born)
    fame, fading = rng.normal(0, 1.1, size), rng.uniform(15, 120, size)
    of_item, of_user = rng.normal(0, 0.35, size), rng.normal(0, 0.45, users)
    preference = rng.normal(0, 1.0, (users, _GENRES))[:, genre]
    first = days * np.sqrt(rng.random(users))
    stays = rng.random(users) < 0.7
    count = 1 + rng.geometric(1 / 10, users)
    columns = []
    for user in range(users):
        gaps = rng.exponential(2 / 1440 if stays[user] else 4.0, count[user])
        time = first[user] + np.cumsum(gaps) - gaps[0]
        time = time[time < days]
        age = time[0] - born
        appeal = np.where(age >= 0, fame - age / fading + preference[user], -np.inf)
        own = np.argsort(-(appeal + rng.gumbel(size=size)))[: len(time)]
        own = rng.permutation(own)
        rating = 3.5 + of_user[user] + of_item[own] + 0.25 * preference[user, own] + rng.normal(0, 0.85, len(own))
        columns.append((np.full(len(own), user), own, np.clip(np.rint(rating), 1, 5), time))
    user_id, item_id, stars, time = (np.concatenate(column) for column in zip(*columns, strict=True))
    seconds = (_START + time * DAY).astype(np.int64)
    log = pd.DataFrame({"user_id": user_id, "item_id": item_id, "rating": stars.astype(int), "timestamp": seconds})
    return log.sort_values("timestamp", kind="stable")
