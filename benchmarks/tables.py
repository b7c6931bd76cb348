"""CPU seconds and memory of a training step by the size of its embedding tables, for optimizers and forms of tables.

    python -m benchmarks.tables
    python -m benchmarks.tables --items 1000000 --users 1000000 --forms "adamw, dense" adamw
    python -m benchmarks.tables --items 10000000 --users 1000000 --forms hash quotient_remainder unified

The model has tables of items and users and no other feature; negatives are sampled. A step is that of a training:
losses, gradients, and the optimizer's update. Every figure is of a process of its own, which makes the model, trains
two steps and then measures some more: the CPU seconds of a step are the mean over these and all processors, the peak
is the most that the process ever held, TensorFlow and making the model with them. The windows are drawn, so no metric
of quality means anything here.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table

import trainer  # noqa: F401  (selects Keras 2 before TensorFlow is imported)

import tensorflow as tf  # isort: skip

from benchmarks.apart import measured_apart
from config import Config, parse_config
from config.table_bytes import model_tables
from config.table_sizes import Sizes
from trainer.data.catalogue import Catalogue
from trainer.data.windows import Window, dense_windows
from trainer.model.recommender import RecommenderModel
from trainer.training.averaging import WeightAverage
from trainer.training.optimizers import make_optimizer, updates_rows
from trainer.training.step import ReplicaStep

FORMS: dict[str, dict[str, dict[str, object]]] = {
    "adamw, dense": {"training": {"optimizer": {"lazy": False}}},
    "adamw": {},
    "adamw, averaged": {"training": {"averaging": {}}},
    "adagrad": {"training": {"optimizer": {"embeddings": {"name": "adagrad", "learning_rate": 0.1}}}},
    "hash": {"model": {"tables": {"default": {"method": "hash", "rows": 250_000}}}},
    "quotient_remainder": {"model": {"tables": {"default": {"method": "quotient_remainder", "rows": 10_000}}}},
    "unified": {"model": {"tables": {"default": "unified"}, "unified": {"rows": 2_000_000, "width": 16}}},
}
"""Changes of the configuration by name. `adamw` are the defaults; a row of 64 numbers of `unified` is four of 16."""
SIZES = ((100_000, 100_000), (1_000_000, 1_000_000), (10_000_000, 1_000_000))
"""Of items and users."""
_WIDTH = 64
_WINDOWS, _EVENTS = 16, 50
_WARM_UP = 2
_COPIES = {"adamw, dense": 6, "adamw, averaged": 4}
"""Tables' worth of floats that a form holds at once, about: what does not fit is left out. At least 3, in drawing the
initial values, which is that of other forms."""


def main() -> None:
    """Prints CPU seconds of a step and gigabytes by size and form; the ratio is that of the CPU seconds."""
    arguments = _parser().parse_args()
    sizes = list(zip(arguments.items, arguments.users, strict=True)) if arguments.items else SIZES
    if arguments.form:
        items, users = sizes[0]
        print(json.dumps(measure(arguments.form, items, users, arguments.steps)))
        return
    title = f"steps of {_WINDOWS * _EVENTS} events, {_WIDTH} dimensions"
    table = Table("items", "users", "form", "CPU s", f"of {arguments.forms[0]}", "peak GB", title=title)
    for items, users in sizes:
        first: float | None = None
        for form in arguments.forms:
            needed = 1e-9 * _bytes(configuration(form), items, users) * _COPIES.get(form, 3)
            if needed > arguments.gigabytes:
                table.add_row(f"{items:,}", f"{users:,}", form, "-", "-", f"over {needed:.0f}")
                continue
            found = measured_apart("benchmarks.tables", form=form, items=items, users=users, steps=arguments.steps)
            first = found["cpu"] if form == arguments.forms[0] else first
            ratio = f"{found['cpu'] / first:.2f}" if first else "-"
            table.add_row(f"{items:,}", f"{users:,}", form, f"{found['cpu']:.3f}", ratio, f"{found['gigabytes']:.1f}")
    Console().print(table)


def measure(form: str, items: int, users: int, steps: int) -> dict[str, float]:
    """Measures CPU seconds of a step and the peak memory of this process."""
    config = configuration(form)
    model = make_model(config, items, users)
    step = training_step(model)
    rng = np.random.default_rng(0)
    windows = [draw_windows(model, rng) for _ in range(_WARM_UP + steps)]
    for window in windows[:_WARM_UP]:
        step(window)
    start = time.process_time()
    for window in windows[_WARM_UP:]:
        step(window)
    seconds = (time.process_time() - start) / steps
    return {"cpu": seconds, "gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9}


def configuration(form: str) -> Config:
    """Returns the defaults with sampled negatives and without recent popularity, trained as the form says."""
    changes = FORMS[form]
    values = {
        "name": "tables",
        "data": {"folder": ".", "interactions": {"path": "events.csv", "user": "user", "item": "item", "time": "time"}},
        "features": {"trend": {"days": []}},
        "tasks": {"retrieval": {"kind": "retrieval", "negatives": "frequency"}},
        "model": {"dimension": _WIDTH, "user_id": "both", **changes.get("model", {})},
        "training": changes.get("training", {}),
    }
    return parse_config(json.dumps(values), "the benchmark of tables")


def _bytes(config: Config, items: int, users: int) -> int:
    """Returns the bytes of the vectors' tables."""
    tables = model_tables(config, Sizes(items, users))
    return sum(table.weights for table in tables if table.name in ("item ids", "user ids", "unified"))


def make_model(config: Config, items: int, users: int) -> RecommenderModel:
    """Makes a model of items of unequal popularity (Zipf)."""
    frequencies = (items / np.arange(1, items + 1)).astype(np.float32)
    return RecommenderModel(config, [], Catalogue(np.empty(items, "S1"), frequencies, {}), users)


def training_step(model: RecommenderModel) -> Callable[[Window], dict[str, tf.Tensor]]:
    """Makes the step as `TrainingLoop` does."""
    training, variables = model.config.training, model.trainable_variables
    is_lazy = updates_rows(training.optimizer, variables, model.reads_whole_catalogue)
    optimizer = make_optimizer(training.optimizer, 10_000, variables, is_lazy=is_lazy)
    average = None
    if training.averaging:
        average = WeightAverage(variables, training.averaging.decay, tf.distribute.get_strategy(), is_lazy)
    replica_step = ReplicaStep(model, optimizer, None, None, is_lazy, average)

    def step(window: Window) -> dict[str, tf.Tensor]:
        losses = replica_step(window)
        model.step.assign_add(1)
        if average is not None:
            average.update(model.step)
        return losses

    return tf.function(step, autograph=False)


def draw_windows(model: RecommenderModel, rng: np.random.Generator) -> Window:
    """Draws windows of users as likely as any other and of items by popularity, each event a target."""
    items = model.spec.item_count
    item = np.minimum(np.exp(rng.uniform(0, np.log(items), [_WINDOWS, _EVENTS])).astype(np.int64), items - 1)
    ones = np.ones_like(item)
    columns = {"item_id": item, "time": np.cumsum(3600 * ones, axis=1), "is_positive": ones, "is_target": ones}
    columns["user_id"] = rng.integers(0, model.spec.user_count, [_WINDOWS, 1])
    rows = {name: tf.RaggedTensor.from_tensor(values).to_sparse() for name, values in columns.items()}
    return dense_windows(rows, model.spec)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", help="rows of the items' table; by default of three sizes")
    parser.add_argument("--users", type=int, nargs="+", help="rows of the users' table, one for each of --items")
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS), help="of which the first is 1")
    parser.add_argument("--steps", type=int, default=5, help="that are measured")
    parser.add_argument("--gigabytes", type=float, default=11, help="what a form's tables may need")
    parser.add_argument("--form", choices=FORMS, help="measures one form in this process and prints JSON")
    return parser


if __name__ == "__main__":
    main()
