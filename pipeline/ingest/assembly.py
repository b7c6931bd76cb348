"""Assembles the examples of all splits from one bucket of sorted events, in one vectorised pass."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from config import feature_names
from pipeline.ingest import splits
from pipeline.ingest.cleaning import ID, distinct
from pipeline.ingest.columns import TYPES, Plan
from pipeline.ingest.events import ITEM
from pipeline.ingest.examples import WindowEncoder
from pipeline.ingest.findings import Findings
from pipeline.ingest.shuffle import as_events
from pipeline.ingest.splits import EVAL, TRAIN, UNUSED, Events, SplitTimes
from pipeline.ingest.windows import Limits, Order, target_windows, train_windows

PART = "part"
EVENTS = "events"


@dataclass(frozen=True)
class Rows:
    """The rows of the whole table, as splits by row need them.

    Attributes:
      offsets: The number of rows in all bundles before each bundle, int64 [bundles].
      parts: The split of each row, int8 [rows], of the method `random` up to `split.max_permutation_rows`; else None.
    """

    offsets: np.ndarray
    parts: np.ndarray | None = None

    @classmethod
    def of(cls, plan: Plan, rows_by_bundle: dict[int, int], bundles: int) -> "Rows":
        """Returns the rows of so many bundles, from the number of rows of each."""
        split = plan.config.split
        ends = np.cumsum([rows_by_bundle.get(bundle, 0) for bundle in range(bundles)])
        offsets, total = np.concatenate([[0], ends[:-1]]), int(ends[-1])
        is_permuted = split.method == "random" and total <= split.max_permutation_rows
        return cls(offsets, splits.permutation_parts(total, split) if is_permuted else None)


class Assembly:
    """Assembles the examples of one bucket.

    Args:
      plan: The configured columns.
      table: Sorted events of whole users.
      users: Their rows of the users table, unordered; None where no user of the bucket has one.
      rows: The rows of the whole table.
      split_times: Of a `global_time` split; else None.

    Attributes:
      findings: The counts, complete after all `examples` are drawn.
    """

    def __init__(
        self, plan: Plan, table: pa.Table, users: pa.Table | None, rows: Rows, split_times: SplitTimes | None
    ) -> None:
        self._plan, self._limits = plan, Limits.of(plan.config)
        part = split_events(plan, as_events(table), rows, split_times)
        unused = int((part == UNUSED).sum())
        held_out = _hold_out_cold_items(plan, table, part)
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
        """Returns pairs of split and serialized tf.Example."""
        encoder = WindowEncoder(self._plan, self._table, self._events, self._order, self._limits, self._user_rows)
        for part, split in enumerate(feature_names.WINDOW_SPLITS):
            if part == TRAIN:
                windows = train_windows(self._order, self._limits)
                # Shuffled so that no user's windows are side by side, in the same order in every run.
                windows = windows.take(np.random.default_rng(len(windows.user)).permutation(len(windows.user)))
            else:
                windows = target_windows(self._order, part, self._limits)
            counts = self.findings.counts
            counts["splits", split, "rows"] += int((self._order.part == part).sum())
            counts["splits", split, "examples"] += len(windows.user)
            counts["splits", split, "users"] += len(np.unique(windows.user))
            for example in encoder.encode(windows):
                yield split, example

    def items(self) -> pa.Table:
        """Returns the distinct pairs of item and split: columns `item`, `part` and `events`, their number of events."""
        pairs = pa.table({ITEM: self._table[ITEM], PART: pa.array(self._order.part)})
        return pairs.group_by([ITEM, PART]).aggregate([([], "count_all")]).rename_columns({"count_all": EVENTS})

    def _user_features(self, users: pa.Table | None) -> pa.Table:
        """Returns one row for each user of the events."""
        columns = self._plan.user
        if self._plan.config.data.users is None:
            # Of the newest train event, or of the oldest event where there is none, so that nothing leaks.
            positions = self._order.first[:-1] + np.maximum(self._order.counts[:, TRAIN] - 1, 0)
            return self._table.select([c.name for c in columns]).take(pa.array(positions))
        ids, events = pa.array(self._events.users, pa.string()), self._events.counts
        if users is None:
            self.findings.add_overlap("users", ids, events, pa.array([], pa.string()))
            return pa.table({c.name: pa.nulls(len(ids), TYPES[c.kind]) for c in columns})
        users, counts = distinct(users, "users")
        self.findings.add(counts)
        known = users[ID].combine_chunks()
        self.findings.add_overlap("users", ids, events, known)
        return users.select([c.name for c in columns]).take(pc.index_in(ids, known))


def _hold_out_cold_items(plan: Plan, table: pa.Table, part: np.ndarray) -> int:
    """Marks the cold items' train and eval events as unused in `part`, in place, and returns their number."""
    cold = plan.config.split.cold_items
    if cold is None:
        return 0
    items = table[ITEM].combine_chunks().dictionary_encode()
    is_cold = splits.is_held_out(items.dictionary.to_numpy(zero_copy_only=False), cold)
    is_held_out = is_cold[items.indices.to_numpy()] & ((part == TRAIN) | (part == EVAL))
    part[is_held_out] = UNUSED
    return int(is_held_out.sum())


def split_events(plan: Plan, events: Events, rows: Rows, split_times: SplitTimes | None) -> np.ndarray:
    """Returns the split of each event by the configured method: int8 [n]."""
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
