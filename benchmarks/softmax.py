"""Time and memory of the full softmax over catalogues of many sizes, forward and backward.

    python -m benchmarks.softmax
    python -m benchmarks.softmax --items 1682 13670 --repeats 20 --rounds 3

`plain` is the definition as TensorFlow differentiates it, `blocks` is ours. Every metric is of a process
of its own: its peak memory is what the process holds at most less what it held before, its times (of the wall, and of
all processors together, which other work on the machine changes least) the best of the repeats. The forms take turns
in every round.
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
from trainer.losses.softmax import BLOCKED, Choices, weighted_log_sum

FORMS = ("plain", "blocks")
_HISTORY = 105
_COPIES = 5
"""Matrices of scores that the plain form holds at once, about: what does not fit is left out."""

Function = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]]


def main() -> None:
    """Prints milliseconds and megabytes by size and form; the ratio is that of the processors' time."""
    arguments = _parser().parse_args()
    if arguments.form:
        print(json.dumps(measure(arguments.form, arguments.targets, arguments.items[0], arguments.repeats)))
        return
    table = Table(
        "items", "form", "ms", "CPU ms", "of plain", "peak MB", title=f"{arguments.targets} targets of 65 dimensions"
    )
    for count in arguments.items:
        _add_rows(table, count, arguments)
    Console().print(table)


def _add_rows(table: Table, count: int, arguments: argparse.Namespace) -> None:
    cells = arguments.targets * count
    forms = [f for f in FORMS if f == "blocks" or 4 * cells * _COPIES < arguments.gigabytes * 1e9]
    shared = {"targets": arguments.targets, "repeats": arguments.repeats}
    rounds = [
        {f: measured_apart("benchmarks.softmax", form=f, items=count, **shared) for f in forms}
        for _ in range(arguments.rounds)
    ]
    best = {f: {key: min(r[f][key] for r in rounds) for key in ("ms", "cpu")} for f in forms}
    for form in FORMS:
        if form not in forms:
            table.add_row(f"{count:,}", form, "-", "-", "-", f"over {4 * cells * _COPIES / 1e6:,.0f}")
            continue
        ratio = f"{best[form]['cpu'] / best['plain']['cpu']:.2f}" if "plain" in best else "-"
        peak = max(r[form]["megabytes"] for r in rounds)
        times = (f"{best[form][key]:,.1f}" for key in ("ms", "cpu"))
        table.add_row(f"{count:,}", form, *times, ratio, f"{peak:,.0f}")


def measure(form: str, targets: int, count: int, repeats: int) -> dict[str, float]:
    """The best times and the peak memory of a value with its gradients."""
    rng = np.random.default_rng(0)
    query = tf.constant(rng.normal(size=[targets, 65]), tf.float32)
    candidates = tf.constant(0.1 * rng.normal(size=[count, 65]), tf.float32)
    blocked = tf.constant(rng.integers(0, count, [targets, _HISTORY]))
    function = tf.function(_with_gradients(form))
    function(query[:2], candidates[:2], blocked[:2] % 2)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = []
    for _ in range(repeats):
        start = time.perf_counter(), time.process_time()
        function(query, candidates, blocked)[0].numpy()
        times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    wall, processors = (1000 * min(values) for values in zip(*times, strict=True))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"ms": wall, "cpu": processors, "megabytes": (peak - before) / 1024}


def _with_gradients(form: str) -> Function:
    softmax = plain if form == "plain" else blocks

    def function(query: tf.Tensor, candidates: tf.Tensor, blocked: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch([query, candidates])
            total = softmax(query, candidates, blocked)
        return total, *tape.gradient(total, [query, candidates])

    return function


def plain(query: tf.Tensor, candidates: tf.Tensor, blocked: tf.Tensor) -> tf.Tensor:
    """The sum by the definition: a float scalar."""
    rows, width = tf.unstack(tf.shape(blocked, tf.int64))
    cells = tf.stack([tf.repeat(tf.range(rows), width), tf.reshape(blocked, [-1])], axis=1)
    mask = tf.zeros([rows, tf.shape(candidates, tf.int64)[0]])
    mask = tf.tensor_scatter_nd_update(mask, cells, tf.fill([rows * width], BLOCKED))
    scores = tf.matmul(query, candidates, transpose_b=True) + mask
    return tf.reduce_sum(tf.reduce_logsumexp(scores, axis=1))


def blocks(query: tf.Tensor, candidates: tf.Tensor, blocked: tf.Tensor) -> tf.Tensor:
    """The same as training makes it."""
    no_own = tf.fill([tf.shape(query)[0], 1], BLOCKED)
    return weighted_log_sum(query, Choices(no_own, candidates, blocked), tf.ones_like(query[:, 0]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[2_000, 14_000, 100_000, 1_000_000])
    parser.add_argument("--targets", type=int, default=1_600, help="rows: targets of a batch")
    parser.add_argument("--repeats", type=int, default=5, help="of which the best counts")
    parser.add_argument("--rounds", type=int, default=1, help="how often the forms take turns")
    parser.add_argument("--gigabytes", type=float, default=4, help="what a form may need; blocks always run")
    parser.add_argument("--form", choices=FORMS, help="measures one form in this process and prints JSON")
    return parser


if __name__ == "__main__":
    main()
