"""One bucket of users: from sorted events to the examples of all splits, in one vectorised pass."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from config import feature_names
from pipeline.ingest import splits
from pipeline.ingest.columns import TYPES, Plan
from pipeline.ingest.entities import ID, distinct
from pipeline.ingest.events import ITEM
from pipeline.ingest.examples import WindowEncoder
from pipeline.ingest.findings import Findings
from pipeline.ingest.overlap import add_overlap
from pipeline.ingest.sorting import as_events
from pipeline.ingest.splits import EVAL, TRAIN, UNUSED, Events, SplitTimes
from pipeline.ingest.windows import Limits, Order, Windows, target_windows, train_windows

PART = "part"
EVENTS = "events"


@dataclass(frozen=True)
class Rows:
    """What splitting knows of the table as a whole.

    Attributes:
      offsets: The number of rows in all files before each file, int64 [files].
      parts: The split of each row, int8 [rows]: only for `random`, and only up to `split.max_permutation_rows`.
    """

    offsets: np.ndarray
    parts: np.ndarray | None = None

    @classmethod
    def of(cls, plan: Plan, rows_by_file: dict[int, int], files: int) -> "Rows":
        """From the number of rows of each file."""
        split = plan.config.split
        ends = np.cumsum([rows_by_file.get(file, 0) for file in range(files)])
        offsets, total = np.concatenate([[0], ends[:-1]]), int(ends[-1])
        is_permuted = split.method == "random" and total <= split.max_permutation_rows
        return cls(offsets, splits.permutation_parts(total, split) if is_permuted else None)


class Assembly:
    """The examples of one bucket.

    Args:
      plan: What to write.
      table: Sorted events of whole users.
      users: Their rows of the users table, unordered; None where no user of the bucket has one.
      rows: See there.
      split_times: Of a `global_time` split.
    """

    def __init__(
        self, plan: Plan, table: pa.Table, users: pa.Table | None, rows: Rows, split_times: SplitTimes | None
    ) -> None:
        self._plan, self._limits = plan, Limits.of(plan.config)
        part = split_events(plan, as_events(table), rows, split_times)
        unused = int((part == UNUSED).sum())
        held_out = _hold_out(plan, table, part)
        if unused or held_out:
            table, part = table.filter(pa.array(part != UNUSED)), part[part != UNUSED]
        self._events = as_events(table)
        self._order = Order.of(self._events, part)
        self._table = table.take(pa.array(self._order.events))
        self.findings = Findings()
        self._user_rows = self._user_features(users)
        counts = self.findings.counts
        if unused:
            counts["interactions", "dropped", "outside_fold"] += unused
        if held_out:
            counts["interactions", "dropped", "cold_item"] += held_out
        counts["interactions", "kept"] += len(table)

    def examples(self) -> Iterator[tuple[str, bytes]]:
        """Pairs of split and serialized tf.Example; `findings` are complete when they are all drawn."""
        encoder = WindowEncoder(self._plan, self._table, self._events, self._order, self._limits, self._user_rows)
        for part, split in enumerate(feature_names.WINDOW_SPLITS):
            windows = self._windows(part)
            self._count(split, part, windows)
            for example in encoder.encode(windows):
                yield split, example

    def items(self) -> pa.Table:
        """The distinct pairs of item and split: columns `item`, `part` and `events`, the number of their events."""
        pairs = pa.table({ITEM: self._table[ITEM], PART: pa.array(self._order.part)})
        return pairs.group_by([ITEM, PART]).aggregate([([], "count_all")]).rename_columns({"count_all": EVENTS})

    def _windows(self, part: int) -> Windows:
        if part != TRAIN:
            return target_windows(self._order, part, self._limits)
        windows = train_windows(self._order, self._limits)
        # The same at every run, and no user's windows side by side.
        return windows.take(np.random.default_rng(len(windows.user)).permutation(len(windows.user)))

    def _count(self, split: str, part: int, windows: Windows) -> None:
        counts = self.findings.counts
        counts["splits", split, "rows"] += int((self._order.part == part).sum())
        counts["splits", split, "examples"] += len(windows.user)
        counts["splits", split, "users"] += len(np.unique(windows.user))

    def _user_features(self, users: pa.Table | None) -> pa.Table:
        """One row for each user of the events."""
        columns = self._plan.user
        if self._plan.config.data.users is None:
            return self._table.select([c.name for c in columns]).take(pa.array(self._telling_rows()))
        ids, events = pa.array(self._events.users, pa.string()), np.diff(self._events.first)
        if users is None:
            add_overlap(self.findings, "users", ids, events, pa.array([], pa.string()))
            return pa.table({c.name: pa.nulls(len(ids), TYPES[c.kind]) for c in columns})
        users, counts = distinct(users, "users")
        self.findings.add(counts)
        add_overlap(self.findings, "users", ids, events, users[ID].combine_chunks())
        return users.select([c.name for c in columns]).take(pc.index_in(ids, users[ID].combine_chunks()))

    def _telling_rows(self) -> np.ndarray:
        """The position of each user's newest train event; of the oldest event where there is none, so nothing leaks."""
        first, train = self._order.first[:-1], self._order.counts[:, TRAIN]
        return first + np.maximum(train - 1, 0)


def _hold_out(plan: Plan, table: pa.Table, part: np.ndarray) -> int:
    """Takes the cold items' events out of every split but test, in `part`; how many."""
    cold = plan.config.split.cold_items
    if cold is None:
        return 0
    items = table[ITEM].combine_chunks().dictionary_encode()
    is_cold = splits.is_held_out(items.dictionary.to_numpy(zero_copy_only=False), cold)
    taken = is_cold[items.indices.to_numpy()] & ((part == TRAIN) | (part == EVAL))
    part[taken] = UNUSED
    return int(taken.sum())


def split_events(plan: Plan, events: Events, rows: Rows, split_times: SplitTimes | None) -> np.ndarray:
    """The split of each event by the configured method: int8 [n]."""
    split = plan.config.split
    if split.method == "leave_last_out":
        return splits.leave_last_out(events, unused=split.fold.of - split.fold.number if split.fold else 0)
    if split.method == "user_hash":
        return splits.user_hash(events, split)
    if split.method == "global_time":
        if split_times is None:
            raise ValueError("`global_time` should have split_times. Received: None")
        return splits.global_time(events, split_times)
    return splits.hashed_parts(events, split) if rows.parts is None else rows.parts[events.ordinal]
