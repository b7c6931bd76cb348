"""The bytes of the tables that a model gets after its training: index, texts, snapshot, and what is stacked on it."""

from collections.abc import Iterator
from typing import Final

from config import feature_names
from config.schema import Config
from config.table_sizes import FLOAT, INT, Sizes, TableBytes, embedding_width
from config.tasks import PointwiseTask, RatingBaselineConfig

BLOCK: Final = 64
"""Items in a block of the index, which its table is padded to."""
SMALLEST_INDEX: Final = 1 << 16
"""Smaller catalogues are searched exactly, whatever `serving.index` is."""
_UNIT: Final = 24
"""Items in a unit of a partitioned index; the last unit of a partition is half empty on average."""


def served_tables(config: Config, sizes: Sizes) -> Iterator[TableBytes]:
    """The tables that only the exported model has."""
    if config.retrieval is not None:
        yield _index(config, sizes)
    ids = round(sizes.items * (sizes.item_id_bytes + 1))
    users = round(sizes.users * (sizes.user_id_bytes + 1))
    # In memory a tensor of strings has 24 bytes for each; the vocabularies are files beside the variables.
    strings = sizes.items * (24 + FLOAT)
    shape = f"{sizes.items + sizes.users:,} texts"
    keys = ("features.item_id.min_count", "model.user_min_count")
    yield TableBytes("texts of ids", shape, keys, strings, 0, 0, 2 * ids + users + sizes.items * FLOAT)
    if config.serving.snapshot:
        yield _snapshot(config, sizes)


def _index(config: Config, sizes: Sizes) -> TableBytes:
    width = embedding_width(config)
    rows = -(-(sizes.items + 1) // BLOCK) * BLOCK
    kind = "exact" if sizes.items < SMALLEST_INDEX else config.serving.index
    size = rows * width * FLOAT
    if kind == "int8":
        size += -(-sizes.items // 3) * width * FLOAT
    elif kind == "ivf":
        partitions = config.serving.partitions or min(round(8 * sizes.items**0.5), sizes.items // 64)
        padded = sizes.items + partitions * _UNIT // 2
        size += (
            padded // 3 * width * FLOAT + padded * FLOAT + padded // _UNIT * FLOAT + partitions * (width + 4) * FLOAT
        )
    keys = ("model.dimension", "features.item_id.min_count", "serving.index")
    shape = f"{rows:,} x {width} x {FLOAT} bytes{'' if kind == 'exact' else f', and in {kind}'}"
    return TableBytes(f"index ({kind})", shape, keys, size, 0, 0, size)


def _snapshot(config: Config, sizes: Sizes) -> TableBytes:
    """The users' histories and features; of a user's multi-valued feature one value is counted."""
    width = FLOAT * (1 + len(config.features.context) + len(config.features.outcome))
    width += INT if config.data.interactions.time is not None else 0
    own = len(config.features.user) * (FLOAT + INT) + INT
    size = sizes.events * width + (sizes.users + 2) * own
    shape = f"{sizes.events:,} x {width} bytes"
    keys = ("serving.snapshot", "model.history.max_events", "model.user_min_count")
    return TableBytes("user snapshot", shape, keys, size, 0, 0, size)


def stacked_tables(config: Config, sizes: Sizes) -> Iterator[TableBytes]:
    """The most that neighbours and rating baselines take: which links there are, and which help, training finds."""
    neighbours = config.model.neighbours
    if neighbours is not None and config.retrieval is not None:
        links = sizes.items * neighbours.cosine * neighbours.looks_for("cosine")
        links += (
            min(sizes.items, neighbours.regression_items) * neighbours.regression * neighbours.looks_for("regression")
        )
        has_transitions = config.has_order and neighbours.looks_for("transitions")
        links += sizes.items * neighbours.transitions * has_transitions
        keys = tuple(f"model.neighbours.{kind}" for kind in ("cosine", "regression", "transitions"))
        yield _links("item neighbours", links, 2 * (sizes.items + 2), keys)
    reads_history = any(feature.form == "category" for feature in config.features.outcome)
    groups: dict[str, tuple[list[str], RatingBaselineConfig]] = {}
    for name, task in config.tasks.items():
        if isinstance(task, PointwiseTask) and task.baseline:
            settings = task.baseline.model_copy(update={"weights": None}).model_dump_json()
            groups.setdefault(settings if reads_history else name, ([], task.baseline))[0].append(name)
    for names, baseline in groups.values():
        size = (sizes.users + sizes.items + 2) * FLOAT
        if reads_history:
            kinds = [getattr(baseline, kind) for kind in ("cosine", "correlation") if baseline.looks_for(kind)]
            size += sizes.items * sum(kinds) * (FLOAT + FLOAT) + len(kinds) * (sizes.items + 2) * INT
            size += 2 * (sizes.items + 1) * (baseline.factors if baseline.looks_for("factors") else 0) * FLOAT
            attributes = (feature_names.item_feature(name) for name in baseline.attributes_of(config.features))
            size += 2 * (sizes.items + 1) * sum(sizes.longest.get(name, 1) for name in attributes) * FLOAT
        keys = tuple(f"tasks.{names[0]}.baseline.{key}" for key in ("cosine", "correlation", "factors"))
        shape = f"{sizes.users + sizes.items + 2:,} biases, links, factors"
        yield TableBytes(f"baseline of {', '.join(names)}", shape, keys, size, 0, 0, size, is_bound=True)


def _links(name: str, links: int, starts: int, keys: tuple[str, ...]) -> TableBytes:
    size = links * (FLOAT + FLOAT) + starts * INT
    return TableBytes(name, f"{links:,} x 2 x {FLOAT} bytes", keys, size, 0, 0, size, is_bound=True)
