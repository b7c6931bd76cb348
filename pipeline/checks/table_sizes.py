"""Counts what the model's tables grow with in the rows that `check` reads, as Transform will count it.

Items, users and categories enter the model with enough events of the train split, so the split is computed here too, by
ingest's functions. Three of ingest's steps are left out: the removal of duplicates, the k-core, and a random order of
ties. They change who reaches a minimum count, rarely the number of ids.
"""

import gzip
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from config import Config
from config.features import Categorical, Text
from config.table_sizes import Sizes, features
from pipeline.ingest import splits
from pipeline.ingest.cleaning import ID
from pipeline.ingest.events import ITEM, POSITIVE, TIME, USER
from pipeline.ingest.splits import TRAIN

_DAY: Final = 86_400
_MAX_BUCKETS: Final = 1024
_WORD: Final = re.compile(r"\w+")
_PACKED: Final = (".bz2", ".xz", ".zip", ".zst", ".lz4", ".br")
_HEAD: Final = 1 << 20
"""The bytes of a text file whose lines are counted, to estimate its rows."""


class SizeCounts:
    """Counts rows that ingest's cleaner has read. It takes about 17 bytes for each event, and each id once.

    Args:
      config: The configuration.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._codes: dict[str, dict[str, int]] = {USER: {}, ITEM: {}}
        self._events: dict[str, list[np.ndarray]] = {USER: [], ITEM: [], TIME: [], POSITIVE: []}
        self._listed: dict[str, set[str]] = {"items": set(), "users": set()}
        self._tokens: dict[str, Counter[str]] = {}
        self._longest: dict[str, int] = {}

    def add(self, table: str, rows: pa.Table) -> None:
        """Adds clean rows of "interactions", "items" or "users"."""
        if table == "interactions":
            for key, codes in self._codes.items():
                self._events[key].append(_encoded(rows[key], codes))
            for key, dtype in ((TIME, np.int64), (POSITIVE, bool)):
                self._events[key].append(rows[key].to_numpy().astype(dtype))
        else:
            self._listed[table].update(rows[ID].to_pylist())
        for _, name, feature in features(self._config):
            if isinstance(feature, Categorical) and name in rows.column_names:
                self._add_tokens(name, feature, rows[name].combine_chunks())

    def _add_tokens(self, name: str, feature: Categorical, values: pa.Array) -> None:
        counter = self._tokens.setdefault(name, Counter())
        longest = self._longest.get(name, 1)
        if isinstance(feature, Text):
            for text in values.drop_null().to_pylist():
                words = _WORD.findall(text.lower())[: feature.max_tokens]
                counter.update(words)
                longest = max(longest, len(words))
        else:
            if pa.types.is_list(values.type):
                longest = max(longest, pc.max(pc.list_value_length(values)).as_py() or 0)
                values = pc.list_flatten(values)
            counted = pc.value_counts(values.drop_null())
            pairs = zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
            counter.update(dict(pairs))
        self._longest[name] = longest

    def sizes(self, listed_items: int = 0) -> Sizes:
        """Returns the sizes of the rows that were added.

        Args:
          listed_items: The number of rows of the items table where more of them were seen than added.
        """
        config = self._config
        vocabularies = {}
        for _, name, feature in features(config):
            if isinstance(feature, Categorical):
                counts = self._tokens.get(name, Counter())
                known = sum(count >= feature.min_count and bool(token) for token, count in counts.items())
                vocabularies[name] = known if feature.max_values is None else min(known, feature.max_values)
        is_known_user = self._counts(USER, self._is_train) >= config.model.user_min_count
        is_positive = self._is_train & self._column(POSITIVE) & is_known_user[self._column(USER)]
        by_user = np.bincount(self._column(USER)[is_positive], minlength=1)
        cells, buckets = self._trend
        return Sizes(
            items=max(self._known_items(), listed_items),
            users=int(np.count_nonzero(is_known_user)),
            vocabularies=vocabularies,
            longest=self._longest,
            events=int(np.minimum(by_user, config.model.history.max_events).sum()),
            cells=cells,
            buckets=buckets,
            item_id_bytes=_mean_bytes(self._codes[ITEM] or self._listed["items"]),
            user_id_bytes=_mean_bytes(self._codes[USER]),
        )

    def _known_items(self) -> int:
        config, logged = self._config, self._codes[ITEM]
        least = config.features.item_id.min_count
        if config.data.items is None and least == 1:
            return len(logged)
        enough = self._counts(ITEM, self._is_train) >= least
        known = {item for item, code in logged.items() if enough[code]}
        listed = self._listed["items"]
        if config.cleaning.unseen_items == "drop":
            listed = listed & logged.keys()
        return len(known | listed)

    def _column(self, key: str) -> np.ndarray:
        parts = self._events[key]
        return np.concatenate(parts) if parts else np.zeros(0, bool if key == POSITIVE else np.int64)

    def _counts(self, key: str, rows: np.ndarray) -> np.ndarray:
        return np.bincount(self._column(key)[rows], minlength=len(self._codes[key]))

    @cached_property
    def _is_train(self) -> np.ndarray:
        """Whether each event is in the train split, bool [n]."""
        split, user, time = self._config.split, self._column(USER), self._column(TIME)
        ordinal = np.arange(len(user))
        order = np.lexsort((ordinal, time, user))
        users = np.array(list(self._codes[USER]), object)
        first = np.concatenate([[0], np.cumsum(np.bincount(user, minlength=len(users)))])
        events = splits.Events(users, first, time[order], ordinal[order])
        if split.method == "global_time":
            rank = np.empty(len(user), np.int64)
            rank[np.lexsort((ordinal, time))] = ordinal
            is_train = rank < splits.time_ranks(len(user), split)[0]
        else:
            parts: dict[str, Callable[[], np.ndarray]] = {
                "leave_last_out": lambda: splits.leave_last_out(
                    events, 0 if split.fold is None else split.fold.of - split.fold.number
                ),
                "user_hash": lambda: splits.user_hash(events, split),
                "random": lambda: splits.hashed_parts(events, split),
            }
            is_train = np.empty(len(user), bool)
            is_train[order] = parts[split.method]() == TRAIN
        if split.cold_items is not None and len(user):
            held_out = splits.is_held_out(np.array(list(self._codes[ITEM]), object), split.cold_items)
            is_train &= ~held_out[self._column(ITEM)]
        return is_train

    @property
    def _trend(self) -> tuple[int, int]:
        """The trend's cells that are not zero, and its buckets; as `transform.trend` makes them, outliers in time
        apart."""
        trend, events = self._config.trend, self._is_train & self._column(POSITIVE)
        if trend is None or not events.any():
            return 0, 0
        time, item = self._column(TIME)[events], self._column(ITEM)[events].astype(np.int64)
        first, last = int(time.min()), int(time.max())
        width = max(1, round(_DAY * min(1.0, *trend.days)), -(-(last - first + 1) // (_MAX_BUCKETS - 1)))
        start = first // width * width
        buckets = (last - start) // width + 1
        return len(np.unique(item * buckets + (time - start) // width)), buckets


def extrapolated(sizes: Sizes, config: Config, read: Mapping[str, int], there: Mapping[str, int]) -> Sizes:
    """Returns the sizes of whole tables whose first rows were counted: as if later rows held new ids as often.

    Args:
      sizes: Of the rows that were read.
      config: The configuration.
      read: The number of rows that were read of each table.
      there: The estimated number of rows of each table.
    """
    ratio = {name: max(1.0, there.get(name, rows) / rows) if rows else 1.0 for name, rows in read.items()}
    of_log = ratio.get("interactions", 1.0)
    users = round(sizes.users * of_log)
    if config.data.users is not None:
        users = min(users, max(there.get("users", 0), read.get("users", 0)))
    items = round(sizes.items * of_log)
    if config.data.items is not None:
        items = max(there.get("items", 0), read.get("items", 0), sizes.items)
    return replace(
        sizes, users=users, items=items, events=round(sizes.events * of_log), cells=round(sizes.cells * of_log)
    )


def estimated_rows(path: str) -> int | None:
    """Returns about how many rows a file has: exactly for Parquet, by the length of the first lines for text; None
    where neither is possible."""
    file = Path(path)
    if not file.is_file():
        return None
    if file.suffix == ".parquet":
        return int(pq.read_metadata(file).num_rows)
    if file.suffix in _PACKED:
        return None
    if file.suffix == ".gz":
        with file.open("rb") as packed, gzip.open(packed) as lines:
            count = lines.read(_HEAD).count(b"\n")
            return round(count * file.stat().st_size / max(1, packed.tell()))
    with file.open("rb") as text:
        start = text.read(_HEAD)
    return round(start.count(b"\n") * file.stat().st_size / max(1, len(start)))


def _encoded(ids: pa.ChunkedArray, codes: dict[str, int]) -> np.ndarray:
    """Returns the code of each id, int32 [n]; new ids get the next codes."""
    encoded = ids.combine_chunks().dictionary_encode()
    own = [codes.setdefault(text, len(codes)) for text in encoded.dictionary.to_pylist()]
    return np.array(own, np.int32)[encoded.indices.to_numpy()]


def _mean_bytes(ids: Mapping[str, int] | set[str]) -> float:
    return sum(len(text.encode()) for text in ids) / max(1, len(ids))
