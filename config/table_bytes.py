"""The bytes of a model's tables, computed from the configuration and the numbers of items, users and categories.

Only what grows with the data is counted: vectors of ids and categories, and one row for each item, user or event. The
layers between them take a few megabytes at most, and so does the graph of a SavedModel (4 to 6 MB).
`tests/trainer/test_table_bytes.py` compares the figures with the variables, checkpoint and SavedModel of models. This
module imports no TensorFlow.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from config import feature_names
from config.schema import Config
from config.served_bytes import served_tables, stacked_tables
from config.table_sizes import FLOAT, INT, Sizes, TableBytes, embedding_width, features, fixed, readable

KEPT_TREND: Final = 1 << 26
"""The most features (buckets x windows x items) of the trend that training keeps; more are added up at each step."""
MILLION: Final = 1_000_000

_SLOTS: Final = {"adamw": 2, "adam": 2, "adagrad": 1, "sgd": 1}
"""The optimizers' slots; tf_keras' SGD has one with and without momentum."""


def model_tables(config: Config, sizes: Sizes) -> list[TableBytes]:
    """Computes the bytes of every table of the model, its index and what is stacked on it; without empty ones."""
    kinds = (_trained, _looked_up, served_tables, stacked_tables)
    found = (table for kind in kinds for table in kind(config, sizes))
    return [table for table in found if table.weights or table.saved_model]


def total_memory(tables: Sequence[TableBytes]) -> int:
    """Adds up the memory of all tables whose size is sure."""
    return sum(table.memory for table in tables if not table.is_bound)


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
    model, optimizer = config.model, config.training.optimizer
    average = 1 if config.training.averaging else 0
    by_rule = ("training.optimizer.embeddings", *(["training.averaging"] if average else []))

    def table(
        name: str, rows: int, width: int, *keys: str, is_embedding: bool = True, is_stored: bool = False
    ) -> TableBytes:
        rule = optimizer.embeddings or optimizer if is_embedding else optimizer
        weights, copies = rows * width * FLOAT, _SLOTS[rule.name] + average
        # 8 bits for each number and a step for each row.
        stored = rows * (width + FLOAT) if is_stored and config.serving.tables == "int8" else weights
        shape = f"{rows:,} x {width} x {FLOAT} bytes"
        return TableBytes(name, shape, (*keys, *by_rule), weights, copies * weights, (1 + copies) * weights, stored)

    dimension, item_keys = model.dimension, ("model.dimension", "features.item_id.min_count")
    yield table("item ids", sizes.items + 1, dimension, *item_keys, is_stored=True)
    yield table("item biases", sizes.items + 1, 1 + len(config.ranking), item_keys[1], is_embedding=False)
    if model.user_id == "both" or (model.user_id == "ranking" and config.events):
        user_keys = ("model.dimension", "model.user_min_count", "model.user_id")
        yield table("user ids", sizes.users + 1, dimension, *user_keys, is_stored=True)
    for section, name, feature in features(config):
        count = feature.category_count(sizes.vocabularies.get(name, 0))
        if count is None:
            continue
        limits = ("max_values", "min_count") if feature.has_vocabulary else ("buckets",) * feature.is_combination
        keys = ("model.feature_dimension", *(f"features.{section}.{key} of {feature.name}" for key in limits))
        # Context features are read by the encoder of past events and by that of the request.
        copies = 2 if section == "context" else 1
        yield table(f"feature {name}", count * copies, model.feature_dimension, *keys, is_stored=True)
    for name, task in config.multiclass.items():
        width = (task.hidden[-1] if task.hidden else 2 * dimension) + 1
        count = sizes.vocabularies.get(feature_names.item_feature(task.attribute), 0)
        own = (f"tasks.{name}.hidden", f"features.item.max_values of {task.attribute}")
        yield table(f"classes of {name}", count, width, *own, is_embedding=False)


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
