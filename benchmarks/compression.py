"""What each way of making a model smaller costs and buys: size, latency and quality beside the model as it is.

    python -m benchmarks.compression --config examples/movielens-100k.yaml

Trains a model that teaches, the same pruned, the same with 8-bit tables, a small one, and the small one taught by the
first, through the whole pipeline. Bytes are those of the SavedModel and of its files compressed by gzip, in which what
is zero takes no room; milliseconds are those of `recommend` for one request, without a server, measured one model
after the other once all are there, in turns of which the best counts.
"""

import argparse
import gzip
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.console import plain_table
from benchmarks.quality.studies import Study

_T = TypeVar("_T")

_TURNS, _WARM_UP, _CALLS, _HISTORY = 3, 21, 300, 50
_TEACHER = "as it is"
_SMALL = {"model.dimension": 32, "model.feature_dimension": 8}
_HALF, _MOST = {"sparsity": 0.5}, {"sparsity": 0.9}
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    _TEACHER: {"serving.teaches": True},
    "half of the kernels pruned": {"training.pruning": _HALF},
    "nine tenths of the kernels pruned": {"training.pruning": _MOST},
    "tables of 8 bits": {"serving.tables": "int8"},
    "a quarter of the dimension": _SMALL,
    "a quarter of the dimension, taught": {**_SMALL, "training.distillation": {"weight": 1.0}},
}
"""What each changes in the configuration; the teacher's folder is filled in."""


class Compressed(NamedTuple):
    """A model's folder, and its metrics; no milliseconds until they are measured."""

    folder: str
    size: int
    gzipped: int
    metrics: dict[str, float]
    milliseconds: float | None = None


def main() -> None:
    """Prints a row for each variant as soon as it is evaluated, and all again with their latency."""
    arguments = _parser().parse_args()
    study = Study("", arguments.config, tuple(arguments.metric), _variants(arguments.epochs))
    console, found = Console(), dict[str, Compressed]()
    for name in study.variants:
        found[name] = _in_own_process(run, _taught(study, name, found), name, arguments.seed)
        console.print(table(study.metrics, found))
    console.print(table(study.metrics, timed(found)))


def run(study: Study, variant: str, seed: int) -> Compressed:
    """Trains, evaluates and measures one variant."""
    from pipeline.evaluation.results import headline
    from pipeline.runners.local import run_local

    config = study.configuration(variant, seed)
    outcome = run_local(config)
    if outcome.failed:
        raise RuntimeError(f"{variant}: {outcome.failed} failed: {outcome.message}; the whole log: {outcome.log}")
    model, evaluation = (outcome.outputs[c][k][0].uri for c, k in (("Trainer", "model"), ("Evaluator", "evaluation")))
    folder = Path(model, "Format-Serving")
    size, gzipped = sizes(folder)
    metrics = headline(evaluation, "test")
    return Compressed(str(folder), size, gzipped, {name: metrics[name] for name in study.metrics})


def timed(found: Mapping[str, Compressed]) -> dict[str, Compressed]:
    """The models with their latency, each in a process of its own."""
    turns = [[_in_own_process(latency, model.folder) for model in found.values()] for _ in range(_TURNS)]
    best = map(min, zip(*turns, strict=True))
    return {name: model._replace(milliseconds=p50) for (name, model), p50 in zip(found.items(), best, strict=True)}


def latency(folder: str) -> float:
    """Returns the median milliseconds of `recommend` for one request with 50 events of the model's own items."""
    import trainer  # noqa: F401  (selects Keras 2 before TensorFlow is imported)

    import tensorflow as tf  # isort: skip

    model = tf.saved_model.load(folder)
    example = tf.train.Example()
    feature = example.features.feature
    feature["user_id"].bytes_list.value.append(b"1")
    feature["item_id"].bytes_list.value.extend(np.random.default_rng(0).choice(model.item_ids.numpy(), _HISTORY))
    feature["time"].int64_list.value.extend(range(10**9, 10**9 + 60 * _HISTORY + 1, 60))
    request, times = tf.constant([example.SerializeToString()]), []
    for _ in range(_WARM_UP + _CALLS):
        start = time.perf_counter()
        model.signatures["recommend"](examples=request)
        times.append(time.perf_counter() - start)
    return float(np.median(times[_WARM_UP:])) * 1000


def sizes(folder: Path) -> tuple[int, int]:
    """The bytes of all files, and those of each compressed by gzip."""
    contents = [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]
    return sum(map(len, contents)), sum(len(gzip.compress(content)) for content in contents)


def table(metrics: tuple[str, ...], found: Mapping[str, Compressed]) -> Table:
    """Sizes, latency and metrics by variant."""
    result = plain_table(("",), ("MB", "MB gzipped", "p50 ms", *metrics))
    for name, model in found.items():
        p50 = "" if model.milliseconds is None else f"{model.milliseconds:.2f}"
        cells = [f"{model.size / 1e6:.2f}", f"{model.gzipped / 1e6:.2f}", p50]
        result.add_row(name, *cells, *(f"{model.metrics[metric]:.4f}" for metric in metrics))
    return result


def _variants(epochs: int | None) -> dict[str, dict[str, Any]]:
    length = {} if epochs is None else {"training.epochs": epochs}
    return {name: {**changes, **length, "evaluation.gates": []} for name, changes in VARIANTS.items()}


def _taught(study: Study, variant: str, found: Mapping[str, Compressed]) -> Study:
    """The variant's study, with the teacher's folder where it is taught."""
    changes = dict(study.variants[variant])
    if "training.distillation" in changes:
        settings = changes["training.distillation"]
        changes["training.distillation"] = {**settings, "teacher": found[_TEACHER].folder}
    return Study(study.title, study.config, study.metrics, {variant: changes})


def _in_own_process(function: Callable[..., _T], *arguments: Any) -> _T:
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="examples/movielens-100k.yaml")
    parser.add_argument("--metric", nargs="+", default=["ndcg@10", "recall@100"], help="of the test split")
    parser.add_argument("--epochs", type=int, help="of each training; the configuration's when missing")
    parser.add_argument("--seed", type=int, default=1)
    return parser


if __name__ == "__main__":
    main()
