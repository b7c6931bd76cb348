"""What grows with the catalogue and the log after training: neighbours and their weights, the log, an evaluation.

    python -m benchmarks.neighbours
    python -m benchmarks.neighbours --only read_log --sizes 1 2 4

Each part runs at several sizes, in a process of its own: its CPU seconds, over all threads, and the most memory that it
used beyond what was there before it. Making its inputs does not count. The log is made, not recorded.
"""

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp

import trainer  # noqa: F401  (selects Keras 2 before TensorFlow is imported)

import tensorflow as tf  # isort: skip

from benchmarks.apart import megabytes
from benchmarks.console import plain_table, wide_console
from benchmarks.scale import configuration, make_log
from config import feature_names
from trainer.data.catalogue import Catalogue
from trainer.data.dataset import WindowData
from trainer.data.user_sample import WINDOWS, UserSample, eval_sample
from trainer.data.windows import WindowSpec
from trainer.model.recommender import RecommenderModel
from trainer.stacking.fit_neighbours import choose_weights
from trainer.stacking.item_pairs import cosine_links
from trainer.stacking.neighbours import NeighbourTable
from trainer.stacking.train_log import read_log
from trainer.training.validation import Evaluator
from transform.times import DAY
from transform.trend import Buckets, TrendCounts

EVENTS, ITEMS, USERS = 300_000, 400_000, 30_000
"""Of `cosine_links`; its items are doubled."""
LOG_USERS, LOG_EVENTS, LOG_ITEMS = 51_000, 100, 60_000
"""Of `read_log`: 5.1 million events; its users are doubled."""
RANKED_ITEMS, RANKED_EVENTS, RANKED_USERS = 500_000, 1_000_000, 20_000
"""Of `evaluation` and `weights`; their items are doubled."""
_LENGTH = 20
"""Events of a window that is evaluated."""


class Cost(NamedTuple):
    """What a part took.

    Attributes:
      size: Of its input, in words.
      seconds: CPU seconds.
      memory: MiB at the peak, beyond those before.
    """

    size: str
    seconds: float
    memory: float


def cosine(factor: float) -> Cost:
    """`cosine_links` of few events of many items."""
    items = round(factor * ITEMS)
    log = make_log(EVENTS, USERS, items)
    pairs = log["user"].to_numpy(), log["item"].to_numpy()
    interactions = sp.csr_matrix((np.ones(len(log), np.float32), pairs), shape=(USERS, items))
    return measured(f"{items:,} items, {len(log):,} events", lambda: cosine_links(interactions, 20))


def reading(factor: float) -> Cost:
    """`read_log` of windows of 100 events."""
    users, rng = round(factor * LOG_USERS), np.random.default_rng(0)
    share = 1 / np.arange(1, LOG_ITEMS + 1)
    item = rng.choice(LOG_ITEMS, [users, LOG_EVENTS], p=share / share.sum())
    windows = (_window(user, own, np.arange(LOG_EVENTS), targets=LOG_EVENTS) for user, own in enumerate(item))
    with tempfile.TemporaryDirectory(prefix="neighbours-") as folder:
        data = WindowData([_written(Path(folder, "train.gz"), windows)], _spec(LOG_ITEMS, users))
        size = f"{users * LOG_EVENTS:,} events, {LOG_ITEMS:,} items"
        return measured(size, lambda: read_log(data, LOG_ITEMS, users, 10, 0.8))


def evaluation(factor: float) -> Cost:
    """An epoch's evaluation with the defaults, which include the trend."""
    return _ranking(factor, _evaluating)


def weights(factor: float) -> Cost:
    """The choice of the weights of three kinds of neighbourhoods, on the same windows."""
    return _ranking(factor, _choosing)


def _ranking(factor: float, use: Callable[[RecommenderModel, UserSample, pd.DataFrame], Callable[[], object]]) -> Cost:
    items, rng = round(factor * RANKED_ITEMS), np.random.default_rng(0)
    log = make_log(RANKED_EVENTS, RANKED_USERS, items)
    start, frequencies = int(log["time"].min()), np.bincount(log["item"], minlength=items).astype(np.float32)
    log["bucket"] = (log["time"] - start) // DAY
    cells = log.groupby(["bucket", "item"]).size()
    bucket, item = (cells.index.get_level_values(name).to_numpy() for name in ("bucket", "item"))
    trend = TrendCounts(Buckets(start, DAY, int(bucket.max()) + 1), item, bucket, cells.to_numpy())
    spec = _spec(items, WINDOWS)
    catalogue = Catalogue(np.arange(items).astype(bytes), frequencies, {}, trend)
    model = RecommenderModel(spec.config, spec.features, catalogue, spec.user_count)
    own = rng.integers(0, items, [WINDOWS, _LENGTH])
    times = rng.choice(log["time"].to_numpy(), [WINDOWS, 1]) - 3600 * np.arange(_LENGTH)[::-1]
    windows = (_window(user, *events, targets=1) for user, events in enumerate(zip(own, times, strict=True)))
    with tempfile.TemporaryDirectory(prefix="neighbours-") as folder:
        data = WindowData([_written(Path(folder, "eval.gz"), windows)], spec)
        return measured(f"{items:,} items, {WINDOWS:,} windows", use(model, eval_sample(data, spec.config), log))


def _evaluating(model: RecommenderModel, sample: UserSample, log: pd.DataFrame) -> Callable[[], object]:
    del log
    return Evaluator(model, sample).evaluate


def _choosing(model: RecommenderModel, sample: UserSample, log: pd.DataFrame) -> Callable[[], object]:
    items = model.spec.item_count
    pairs = log["user"].to_numpy(), log["item"].to_numpy()
    interactions = sp.csr_matrix((np.ones(len(log), np.float32), pairs), shape=(RANKED_USERS, items))
    links = [cosine_links(interactions, per_item) for per_item in (5, 20, 80)]
    tables = [NeighbourTable(own, 1.0, name=f"table_{n}") for n, own in enumerate(links)]
    return lambda: choose_weights(model, tables, sample)


PARTS: dict[str, Callable[[float], Cost]] = {
    "cosine_links": cosine,
    "read_log": reading,
    "evaluation": evaluation,
    "weights": weights,
}


def main() -> None:
    """Prints the cost of every part at every size."""
    arguments = _parser().parse_args()
    table = plain_table(["part", "size"], ["CPU s", "peak, MB"])
    for name in arguments.only:
        for factor in arguments.sizes:
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                cost = pool.submit(PARTS[name], factor).result()
            table.add_row(name, cost.size, f"{cost.seconds:.1f}", f"{cost.memory:,.0f}")
    wide_console(100).print(table)


def measured(size: str, function: Callable[[], object]) -> Cost:
    """Calls a function once; the kernel's record of the peak is reset before."""
    _, before = megabytes()
    Path("/proc/self/clear_refs").write_text("5")
    start = time.process_time()
    function()
    return Cost(size, time.process_time() - start, megabytes()[0] - before)


def _spec(items: int, users: int) -> WindowSpec:
    return WindowSpec(configuration(Path("interactions.parquet"), "runs"), (), items, users)


def _window(user: int, item: np.ndarray, times: np.ndarray, targets: int) -> tf.train.Example:
    """A transformed window int64 [L] of positive events, of which so many of the newest are targets."""
    columns = {
        feature_names.USER_ID: [user],
        feature_names.USER_KEY: [user],
        feature_names.ITEM_ID: item,
        feature_names.TIME: times,
        feature_names.IS_POSITIVE: [1] * len(item),
        feature_names.IS_TARGET: [0] * (len(item) - targets) + [1] * targets,
        feature_names.SEEN_ITEM_ID: item[:-targets],
        feature_names.IS_COLD_USER: [0],
    }
    integers = {name: tf.train.Int64List(value=values) for name, values in columns.items()}
    features = {name: tf.train.Feature(int64_list=values) for name, values in integers.items()}
    return tf.train.Example(features=tf.train.Features(feature=features))


def _written(path: Path, windows: Iterable[tf.train.Example]) -> str:
    with tf.io.TFRecordWriter(str(path), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for window in windows:
            writer.write(window.SerializeToString())
    return str(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--sizes", type=float, nargs="+", default=[1, 2], help="times the size (default: 1 2)")
    return parser


if __name__ == "__main__":
    main()
