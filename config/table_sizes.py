"""The bytes of one table of a model, and the sizes that tables grow with."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from config import feature_names
from config.features import AnyFeature
from config.schema import Config

FLOAT: Final = 4
INT: Final = 8
_RAW_NAME: Final = {
    "user": feature_names.user_feature,
    "context": feature_names.context_feature,
    "outcome": feature_names.outcome_feature,
    "item": feature_names.item_feature,
}


@dataclass(frozen=True)
class Sizes:
    """What the tables grow with.

    Attributes:
      items: V, the known items.
      users: U, the known users.
      vocabularies: The number of known values by the feature's name in the examples (`item_genres`).
      longest: The most values of an item by the name of the multi-valued feature. Defaults to 1.
      events: The events of the users' snapshot: positive, at most `model.history.max_events` of each user.
      cells: The pairs of item and bucket of time with a positive train event.
      buckets: The number of the trend's buckets.
      item_id_bytes: The mean length of an item's id.
      user_id_bytes: The mean length of a user's id.
    """

    items: int
    users: int
    vocabularies: Mapping[str, int] = field(default_factory=dict)
    longest: Mapping[str, int] = field(default_factory=dict)
    events: int = 0
    cells: int = 0
    buckets: int = 0
    item_id_bytes: float = 0.0
    user_id_bytes: float = 0.0


@dataclass(frozen=True)
class TableBytes:
    """The bytes of one table.

    Attributes:
      name: For people.
      shape: Rows x width, for people.
      keys: The keys of the configuration that make it smaller.
      weights: In memory, without slots.
      slots: Of the optimizer, and the average of the weights.
      checkpoint: In the checkpoint of a training, which also holds the slots.
      saved_model: In the exported model.
      is_bound: Whether the figures are the most that it can take, since what it holds is known only after training.
    """

    name: str
    shape: str
    keys: tuple[str, ...]
    weights: int
    slots: int
    checkpoint: int
    saved_model: int
    is_bound: bool = False

    @property
    def memory(self) -> int:
        """The bytes in memory of the Trainer."""
        return self.weights + self.slots


def fixed(name: str, rows: int, width: int, number: int, *keys: str) -> TableBytes:
    """Returns a table of the model that is not trained: rows x width numbers of `number` bytes."""
    size = rows * width * number
    return TableBytes(name, f"{rows:,} x {width} x {number} bytes", keys, size, 0, size, size)


def embedding_width(config: Config) -> int:
    """D + 1 + W of a candidate's embedding."""
    return config.model.dimension + 1 + (len(config.trend.days) if config.trend else 0)


def features(config: Config) -> Iterator[tuple[str, str, AnyFeature]]:
    """Yields all features with their section and their name in the examples."""
    for section, named in _RAW_NAME.items():
        for feature in getattr(config.features, section):
            yield section, named(feature.name), feature


def readable(number: float) -> str:
    """Writes a number of bytes in decimal units, as `memory_limit` reads them: 1,500,000 is "1.50 MB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(number) < 999.5:
            return (
                f"{number:.3g} {unit}" if unit == "B" or abs(number) >= 100 else f"{number:.{_digits(number)}f} {unit}"
            )
        number /= 1000
    return f"{number:.{_digits(number)}f} TB"


def _digits(number: float) -> int:
    return 2 if abs(number) < 10 else 1
