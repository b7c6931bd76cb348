"""Splits and windows in plain Python, one event at a time: what the vectorised code is compared with."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions

from config import Config, parse_config
from pipeline.ingest.cleaning import FILE, ROW
from pipeline.ingest.events import FRACTION, ITEM, POSITIVE, TIME, USER
from pipeline.ingest.splits import EVAL, TEST, TRAIN


@dataclass(frozen=True)
class Row:
    """One event; `ordinal` is its position in the table."""

    user: str
    item: str
    time: int
    positive: bool
    ordinal: int


@dataclass
class Window:
    """One example. Events are ordinals."""

    user: str
    events: list[int]
    targets: list[int]
    seen: set[str] = field(default_factory=set)
    is_cold: int | None = None
    target_count: int | None = None


def config_of(**sections: Any) -> Config:
    """A configuration without features and tables on disk."""
    import json

    data = {"folder": "nowhere", "interactions": {"path": "interactions.csv"}}
    return parse_config(json.dumps({"name": "reference", "data": data} | sections))


def beam_pipeline() -> beam.Pipeline:
    """A pipeline in this process."""
    return beam.Pipeline(options=PipelineOptions(config_of().pipeline.beam.arguments))


def as_table(rows: list[Row]) -> pa.Table:
    """The rows as `clean_events` yields them, all of one file."""
    return pa.table(
        {
            USER: [r.user for r in rows],
            ITEM: [r.item for r in rows],
            TIME: pa.array([r.time for r in rows], pa.int64()),
            FRACTION: pa.array([0] * len(rows), pa.int32()),
            FILE: pa.array([0] * len(rows), pa.int64()),
            ROW: pa.array([r.ordinal for r in rows], pa.int64()),
            POSITIVE: pa.array([r.positive for r in rows], pa.bool_()),
        }
    )


def split(rows: list[Row], config: Config) -> dict[int, int]:
    """The split of every row by its ordinal, for the methods that need no hash."""
    ordered = sorted(rows, key=lambda r: (r.time, r.ordinal))
    first, second = (round(len(rows) * share, 6) // 1 for share in (1 - _held_out(config), 1 - config.split.test_share))
    if config.split.method == "global_time":
        return {row.ordinal: (rank >= first) + (rank >= second) for rank, row in enumerate(ordered)}
    if config.split.method == "random":
        order = np.random.RandomState(config.split.seed).permutation(len(rows))
        return {int(row): (rank >= first) + (rank >= second) for rank, row in enumerate(order)}
    parts = {}
    for events in by_user(rows).values():
        parts |= {row.ordinal: TRAIN for row in events}
        if len(events) > 1:
            parts[events[-1].ordinal] = TEST
        if len(events) > 2:
            parts[events[-2].ordinal] = EVAL
    return parts


def by_user(rows: list[Row]) -> dict[str, list[Row]]:
    """Each user's events in order."""
    users = defaultdict(list)
    for row in sorted(rows, key=lambda r: (r.time, r.ordinal)):
        users[row.user].append(row)
    return users


def evaluation_windows(rows: list[Row], parts: dict[int, int], part: int, config: Config) -> list[Window]:
    """One window for each eval or test event, by docs/reference/data-layout.md."""
    windows = []
    for user, events in by_user(rows).items():
        train = [e for e in events if parts[e.ordinal] == TRAIN]
        targets = [
            e
            for e in events
            if parts[e.ordinal] == part and (train or config.split.method != "user_hash" or e != events[0])
        ]
        for target in targets:
            history, known = _history(events, train, target, parts, config)
            history = _nearest(history, target, config)
            windows.append(
                Window(
                    user,
                    [e.ordinal for e in history] + [target.ordinal],
                    [target.ordinal],
                    {e.item for e in known if e.positive},
                    int(not train and config.split.method != "user_hash"),
                    sum(e.positive for e in targets),
                )
            )
    return windows


def _nearest(history, target, config):
    """The newest; or those half before and half after the target, more of the one where there are less of the other."""
    length = config.model.history.max_events - 1
    if config.split.method == "random" and config.data.interactions.time and config.split.history == "frozen":
        before = sum((e.time, e.ordinal) < (target.time, target.ordinal) for e in history)
        after = min(len(history) - before, max(length // 2, length - before))
        history = history[: before + after]
    return history[-length:]


def _history(events, train, target, parts, config):
    earlier = events[: events.index(target)]
    if config.split.method == "user_hash":
        return earlier, earlier
    known = [e for e in events if parts[e.ordinal] < parts[target.ordinal]]
    if config.split.method == "random" and config.data.interactions.time and config.split.history == "rolling":
        return [e for e in train if e in earlier], known
    if config.split.method == "random" or config.split.history == "frozen":
        return train, known
    return earlier, known


def _held_out(config: Config) -> float:
    return config.split.eval_share + config.split.test_share


def seen_items(examples: list[dict[str, list[Any]]]) -> list[list[str]]:
    """What the user of each example of one split has seen, put together from the parts in all of the user's."""
    parts: dict[str, dict[int, list[str]]] = defaultdict(dict)
    for example in examples:
        if items := example.get("seen_item_id"):
            parts[example["user_id"][0]][example.get("seen_start", [0])[0]] = items
    lists = {user: [item for start in sorted(own) for item in own[start]] for user, own in parts.items()}
    return [
        lists.get(e["user_id"][0], [])[: e["seen_count"][0]] if "seen_count" in e else e.get("seen_item_id", [])
        for e in examples
    ]


def decode(serialized: bytes) -> dict[str, list[Any]]:
    """An example's features as lists; features without a value are left out."""
    features = tf.train.Example.FromString(serialized).features.feature
    kinds = {"bytes_list": lambda v: v.decode(), "int64_list": int, "float_list": float}
    values = {}
    for name, feature in sorted(features.items()):
        if kind := feature.WhichOneof("kind"):
            values[name] = [kinds[kind](v) for v in getattr(feature, kind).value]
    return values
