"""The bytes of a model's tables, computed from the configuration and the numbers of items, users and categories.

Only what grows with the data is counted: vectors of ids and categories, and one row for each item, user or event. The
layers between them take a few megabytes at most, and so does the graph of a SavedModel (4 to 6 MB).
`tests/trainer/test_table_bytes.py` compares the figures with the variables, checkpoint and SavedModel of models. This
module imports no TensorFlow.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from config import feature_names
from config.embedding_tables import DEFAULT
from config.schema import Config
from config.served_bytes import served_tables, stacked_tables
from config.table_sizes import FLOAT, INT, Sizes, TableBytes, embedding_width, features, fixed, readable

KEPT_TREND: Final = 1 << 26
"""The most features (buckets x windows x items) of the trend that training keeps; more are added up at each step."""
MILLION: Final = 1_000_000

_SLOTS: Final = {"adamw": 2, "adam": 2, "adagrad": 1, "sgd": 1}
"""The optimizers' slots; tf_keras' SGD has one with and without momentum."""


@dataclass(frozen=True)
class Embedding:
    """A table of vectors: its name, the rows of each of its parts, their width, and the keys that make it smaller."""

    name: str
    rows: tuple[int, ...]
    width: int
    keys: tuple[str, ...]

    @property
    def shape(self) -> str:
        """Rows x width, for people; equal parts are counted."""
        counts = Counter(self.rows)
        rows = " + ".join(f"{n:,}" if times == 1 else f"{times} x {n:,}" for n, times in counts.items())
        return f"{f'({rows})' if len(counts) > 1 else rows} x {self.width} x {FLOAT} bytes"


def model_tables(config: Config, sizes: Sizes) -> list[TableBytes]:
    """Computes the bytes of every table of the model, its index and what is stacked on it; without empty ones."""
    kinds = (_trained, _looked_up, served_tables, stacked_tables)
    found = (table for kind in kinds for table in kind(config, sizes))
    return [table for table in found if table.weights or table.saved_model]


def total_memory(tables: Sequence[TableBytes]) -> int:
    """Adds up the memory of all tables whose size is sure."""
    return sum(table.memory for table in tables if not table.is_bound)


def kept_bytes(config: Config, sizes: Sizes) -> int:
    """Returns the most bytes of what is kept beside each model for a later one to start from: 0 without
    `training.warm_start`."""
    if config.training.warm_start is None:
        return 0
    return sum(table.checkpoint for table in _trained(config, sizes))


def growth(config: Config, sizes: Sizes, count: int = MILLION) -> dict[str, int]:
    """Returns the bytes of memory that more items, users and events add, each by itself.

    An event here is one of the users' snapshot, which there are none of without `serving.snapshot`.
    """
    before = total_memory(model_tables(config, sizes))
    larger = {name: replace(sizes, **{name: getattr(sizes, name) + count}) for name in ("items", "users", "events")}
    return {name: total_memory(model_tables(config, own)) - before for name, own in larger.items()}


def limit_problem(config: Config, tables: Sequence[TableBytes]) -> str | None:
    """Returns what is wrong where the tables take more than `training.memory_limit`: the largest and its keys."""
    limit, total = config.training.memory_limit, total_memory(tables)
    if limit is None or total <= limit:
        return None
    largest = max((table for table in tables if not table.is_bound), key=lambda table: table.memory)
    keys = ", ".join(f"`{key}`" for key in largest.keys)
    return (
        f"the tables of the model need {readable(total)} of memory with the optimizer's slots, above the limit of "
        f"{readable(limit)}. The largest, {largest.name} ({largest.shape}), needs {readable(largest.memory)}; "
        f"it is smaller with other values of {keys}"
    )


def _trained(config: Config, sizes: Sizes) -> Iterator[TableBytes]:
    """The tables that are trained: those of ids and categories, the biases of items, the classes' weights."""
    optimizer = config.training.optimizer
    average = 1 if config.training.averaging else 0
    embeddings, biases = list(_embeddings(config, sizes)), (sizes.items + 1,)
    largest = max(rows for own in embeddings for rows in (*own.rows, *(biases if config.ranking else ())))
    retrieval = config.retrieval
    reads_whole_catalogue = retrieval is not None and retrieval.negatives_of(sizes.items) == "full"
    is_lazy = optimizer.updates_rows(reads_whole_catalogue, largest)

    def table(own: Embedding, is_embedding: bool = True, is_stored: bool = False) -> TableBytes:
        rule = optimizer.embeddings or optimizer if is_embedding else optimizer
        rows = sum(own.rows)
        weights, copies = rows * own.width * FLOAT, _SLOTS[rule.name] + average
        # Lazy updates and averages have one float for each row: what it was decayed and averaged by so far.
        of_rows = average + (rule.name == "adamw" and optimizer.weight_decay > 0) if is_lazy and is_embedding else 0
        slots = copies * weights + of_rows * rows * FLOAT
        # 8 bits for each number and a step for each row.
        stored = rows * (own.width + FLOAT) if is_stored and config.serving.tables == "int8" else weights
        by_rule = ("training.optimizer.embeddings", *(["training.averaging"] if average else []))
        keys = (*own.keys, *by_rule)
        return TableBytes(own.name, own.shape, keys, weights, slots, weights + slots, stored)

    for own in embeddings:
        yield table(own, is_stored=True)
    yield table(Embedding("item biases", biases, 1, ("features.item_id.min_count",)), is_embedding=False)
    yield table(Embedding("item biases of tasks", biases * len(config.ranking), 1, ("features.item_id.min_count",)))
    for name, task in config.multiclass.items():
        width = (task.hidden[-1] if task.hidden else 2 * config.model.dimension) + 1
        count = sizes.vocabularies.get(feature_names.item_feature(task.attribute), 0)
        keys = (f"tasks.{name}.hidden", f"features.item.max_values of {task.attribute}")
        yield table(Embedding(f"classes of {name}", (count,), width, keys), is_embedding=False)


def _embeddings(config: Config, sizes: Sizes) -> Iterator[Embedding]:
    """The vectors of ids and categories, in the forms of `model.tables`."""
    model = config.model

    def embedding(name: str, key: str, size: int, width: int, keys: tuple[str, ...], copies: int = 1) -> Embedding:
        rows = model.table(key).rows_of_parts(size)
        own = keys if rows == (size,) else (keys[0], f"model.tables.{key if key in model.tables else DEFAULT}")
        return Embedding(name, rows * copies, width, own)

    item_keys = ("model.dimension", "features.item_id.min_count", "model.tables")
    yield embedding("item ids", feature_names.ITEM_ID, sizes.items + 1, model.dimension, item_keys)
    if config.embeds_users:
        user_keys = ("model.dimension", "model.user_min_count", "model.user_id", "model.tables")
        yield embedding("user ids", feature_names.USER_ID, sizes.users + 1, model.dimension, user_keys)
    for section, name, feature in features(config):
        count = feature.category_count(sizes.vocabularies.get(name, 0))
        if count is None:
            continue
        limits = ("max_values", "min_count") if feature.has_vocabulary else ("buckets",) * feature.is_combination
        keys = ("model.feature_dimension", *(f"features.{section}.{key} of {feature.name}" for key in limits))
        # Context features are read by the encoder of past events and by that of the request.
        copies = 2 if section == "context" else 1
        yield embedding(f"feature {name}", name, count, model.feature_dimension, (*keys, "model.tables"), copies)
    if model.unified is not None:
        unified, keys = model.unified, ("model.unified.rows", "model.unified.width", "model.unified.tables")
        yield Embedding("unified", (unified.rows,) * unified.tables, unified.width, keys)


def _looked_up(config: Config, sizes: Sizes) -> Iterator[TableBytes]:
    """The tables of the model that are not trained: the catalogue, the trend and the index that negatives are mined
    in."""
    for section, name, feature in features(config):
        if section == "item":
            width = sizes.longest.get(name, 1) if feature.form == "categories" else 1
            key = f"features.item.max_tokens of {feature.name}" if feature.kind == "text" else "features.item"
            yield fixed(f"catalogue {name}", sizes.items + 1, width, FLOAT, key)
    if config.trend is not None:
        windows, keys = len(config.trend.days), ("features.trend.days",)
        counts = (5 * sizes.cells + sizes.buckets + 2) * INT
        yield TableBytes("trend", f"{sizes.cells:,} x 5 x {INT} bytes", keys, counts, 0, counts, counts)
        kept = (sizes.buckets + 1) * windows * sizes.items
        past = kept * FLOAT if kept <= KEPT_TREND else 2 * sizes.cells * FLOAT + (sizes.items + 1) * FLOAT
        yield TableBytes("trend of past days", f"{past // FLOAT:,} x {FLOAT} bytes", keys, past, 0, 0, 0)
    if config.retrieval is not None and config.retrieval.negatives == "hard":
        mined = sizes.items * embedding_width(config) * FLOAT
        shape = f"{sizes.items:,} x {embedding_width(config)} x {FLOAT} bytes"
        name = next(name for name, task in config.tasks.items() if task is config.retrieval)
        yield TableBytes("mined negatives", shape, (f"tasks.{name}.negatives",), mined, 0, mined, 0)
