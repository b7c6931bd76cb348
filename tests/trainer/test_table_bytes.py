"""The bytes that are computed from a configuration, beside those of the variables and files of untrained models."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import tensorflow as tf

from config import ConfigError, parse_config
from config.served_bytes import BLOCK as INDEX_BLOCK
from config.served_bytes import SMALLEST_INDEX
from config.table_bytes import KEPT_TREND, limit_problem, model_tables, total_memory
from config.table_sizes import Sizes
from tests.trainer.served import DTYPES, YAML, history, shop
from tests.trainer.small import FEATURES, USERS, small_catalogue, small_config
from tests.transform.conftest import analyse
from trainer.data.batching import LabelStatistics
from trainer.data.catalogue import load_catalogue
from trainer.data.table_sizes import check_memory, table_sizes
from trainer.export.index.build import SMALLEST, build_index
from trainer.export.index.exact import BLOCK
from trainer.export.quantised_tables import quantise_tables
from trainer.export.saved_model import export_model
from trainer.export.user_snapshot import Snapshot, SnapshotTable
from trainer.model.popularity import KEPT
from trainer.model.recommender import RecommenderModel
from trainer.stacking.neighbours import NeighbourTable
from trainer.stacking.recommender import StackedRecommender
from trainer.training.averaging import WeightAverage
from trainer.training.optimizers import make_optimizer, updates_rows
from transform.features import model_features, user_vocabulary_size

ITEMS, WINDOWS = 20_000, 300
COLUMNS = parse_config(YAML).features.model_dump(exclude_unset=True)
LOG = {"path": "events.csv", "time": "timestamp"}
DATA = {"folder": "data", "interactions": LOG, "items": {"path": "items.csv", "id": "item_id"}}
VARIANTS = {
    "defaults": {"model": {"dimension": 64}},
    "averaged, Adagrad, int8": {
        "model": {"dimension": 48, "user_id": "both"},
        "training": {"averaging": {}, "optimizer": {"embeddings": {"name": "adagrad"}}},
        "serving": {"tables": "int8"},
    },
    "fewer rows, averaged": {
        "model": {
            "dimension": 64,
            "tables": {
                "item_id": {"method": "quotient_remainder", "rows": 9000},
                "user_id": {"method": "hash", "rows": 90},
                "default": "unified",
            },
            "unified": {"rows": 30_000, "tables": 2},
        },
        "training": {"averaging": {}, "optimizer": {"lazy": True}},
    },
    "SGD, hard negatives": {
        "model": {"dimension": 64, "user_id": "none"},
        "training": {"optimizer": {"name": "sgd"}},
        "tasks": {"retrieval": {"kind": "retrieval", "negatives": "hard"}},
        "serving": {},
    },
}
VARIABLES = {
    "item ids": "item_embedding/",
    "item biases": "^bias:",
    "item biases of tasks": "/bias_embedding/",
    "user ids": "/user_embedding/",
    "feature item_genres": "/item_genres_embedding/",
    "catalogue item_genres": "catalogue/item_genres:",
    "unified": "unified_",
}
"""What the names of a table's variables match; the first table that shares rows gives them its name."""
ROWS = (ITEMS + 1, WINDOWS + 1, 703, 9000, 30_000)
"""Of those tables and their parts."""


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """The Transform graph of a shop with many items and users, which is the same for all variants."""
    rng = np.random.default_rng(1)
    items = [f"item{n}" for n in range(ITEMS)]
    rows = [history(f"user{n}", [items[i] for i in rng.integers(0, ITEMS, 5)]) for n in range(WINDOWS)]
    rows += [{"catalogue_id": [item], "item_genres": [f"g{n % 700}", "x"]} for n, item in enumerate(items)]
    config = shop(data=DATA, features={**COLUMNS, "trend": {"days": [1, 7]}})
    return analyse(config, rows, DTYPES, tmp_path_factory.mktemp("graph"))


@pytest.mark.parametrize("name", VARIANTS)
def test_bytes_are_within_a_tenth_of_variables_checkpoint_and_saved_model(name, graph, tmp_path):
    config = shop(data=DATA, features={**COLUMNS, "trend": {"days": [1, 7]}}, **VARIANTS[name])
    features, users = model_features(config, graph), user_vocabulary_size(graph)
    catalogue = load_catalogue([], graph, config)
    sizes = table_sizes(config, features, catalogue, users)
    assert (sizes.items, sizes.users, sizes.vocabularies["item_genres"]) == (ITEMS, WINDOWS, 701)
    tables = {table.name: table for table in model_tables(config, sizes) if not table.is_bound}
    statistics = {task: LabelStatistics(3.0, 2.0) for task in config.ranking}
    model = RecommenderModel(config, features, catalogue, users, statistics)
    for table, part in VARIABLES.items():
        found = [v for v in model.variables if re.search(part, re.sub(r"\w+_embedding/unified", "unified", v.name))]
        measured = _bytes(found)
        assert measured == (tables[table].weights if table in tables else 0), table

    variables = model.trainable_variables
    is_lazy = updates_rows(config.training.optimizer, variables, model.reads_whole_catalogue)
    parts = {"model": model, "optimizer": make_optimizer(config.training.optimizer, 10, variables, is_lazy=is_lazy)}
    state = [v for part in getattr(parts["optimizer"], "optimizers", [parts["optimizer"]]) for v in part.variables]
    if config.training.averaging:
        parts["average"] = WeightAverage(variables, 0.9, tf.distribute.get_strategy(), is_lazy)
        state += [*parts["average"].averages, *parts["average"].row_log_kept]
    slots = _bytes(v for v in state if v.shape.rank and v.shape[0] in ROWS)
    assert slots == pytest.approx(sum(tables[name].slots for name in VARIABLES if name in tables), rel=0.01)
    tf.train.Checkpoint(**parts).write(str(tmp_path / "checkpoint" / "last"))
    checkpoint = sum(table.checkpoint for table in tables.values())
    assert _file_bytes(tmp_path / "checkpoint") == pytest.approx(checkpoint, rel=0.1)

    if config.retrieval.negatives == "hard":
        return  # what is exported is that of the defaults
    if config.serving.tables == "int8":
        quantise_tables(model)
    export_model(StackedRecommender(model), graph, config, str(tmp_path / "exported"))
    exported = sum(_file_bytes(tmp_path / "exported" / part) for part in ("variables", "assets"))
    assert exported == pytest.approx(sum(table.saved_model for table in tables.values()), rel=0.1)


@pytest.mark.parametrize("kind", ["exact", "int8", "ivf"])
def test_bytes_of_a_large_index(kind):
    items = SMALLEST + 1000
    chosen = {"exact": {}, "int8": {"shortlist": 500}, "ivf": {"probes": 5}}[kind]  # random vectors suit no index
    config = small_config(model={"dimension": 15}, serving={"index": kind, **chosen})
    vectors = np.random.default_rng(1).normal(size=(items + 1, 16)).astype(np.float32)
    index, report = build_index(vectors, vectors[:50], config.serving)
    tables = {table.name: table for table in model_tables(config, Sizes(items, users=0))}
    assert (report.kind, _bytes(index.variables)) == (
        kind,
        pytest.approx(tables[f"index ({kind})"].saved_model, rel=0.1),
    )


def test_bytes_of_snapshot_and_links():
    config = small_config(serving={"snapshot": True}, data={"interactions": {**LOG}})
    users, events = 1000, 7000
    starts = np.linspace(0, events, users + 2).astype(np.int64)
    columns = {"item_id": np.zeros(events, np.int32), "time": np.zeros(events, np.int64)}
    table = SnapshotTable(Snapshot(starts, columns, {}))
    sizes = Sizes(items=200, users=users, events=events)
    tables = {own.name: own for own in model_tables(config, sizes)}
    assert tables["user snapshot"].weights == _bytes(table.variables)

    links = sp.csr_matrix(np.pad(np.ones((200, 20), np.float32), [(0, 0), (0, 180)]))
    config = small_config(model={"neighbours": {"cosine": 20, "regression": 0, "transitions": 0}})
    found = next(own for own in model_tables(config, sizes) if own.name == "item neighbours")
    assert found.is_bound
    assert found.weights == pytest.approx(_bytes(NeighbourTable(links, 1.0, "links").variables), rel=0.1)


def test_the_constants_are_those_of_the_trainer():
    assert (INDEX_BLOCK, SMALLEST_INDEX, KEPT_TREND) == (BLOCK, SMALLEST, KEPT)


def test_a_limit_refuses_with_the_largest_table_and_its_keys():
    config = small_config(training={"memory_limit": "1GB"})
    sizes = Sizes(items=10_000_000, users=10)
    problem = limit_problem(config, model_tables(config, sizes))
    assert "item ids (10,000,001 x 8 x 4 bytes)" in problem
    assert "1.00 GB" in problem
    assert "`model.dimension`" in problem
    assert limit_problem(config, model_tables(config, replace(sizes, items=1000))) is None

    needed = total_memory(model_tables(config, table_sizes(config, FEATURES, small_catalogue(), USERS)))
    for limit, is_refused in ((needed, False), (needed - 1, True)):
        limited = small_config(training={"memory_limit": limit})
        if is_refused:
            with pytest.raises(ConfigError, match=r"`training.memory_limit`: the tables of the model need"):
                check_memory(limited, FEATURES, small_catalogue(), USERS)
        else:
            check_memory(limited, FEATURES, small_catalogue(), USERS)


def _bytes(variables) -> int:
    return sum(v.shape.num_elements() * v.dtype.size for v in variables)


def _file_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
