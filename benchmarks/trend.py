"""What the trend costs a step of training: the softmax's loss and gradients without it, and with it in either way.

    python -m benchmarks.trend
    python -m benchmarks.trend --items 1682 4000 --moments 150 --events 900000

`kept` looks features up, `added up` sums the cells of its own moments (`trainer.model.popularity`); `longer vectors` is
the plain way, one product of queries and candidates with a factor for each moment and window. The forms take turns;
every metric is the median of the repeats, in milliseconds.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table

import trainer  # noqa: F401  (selects Keras 2 before TensorFlow is imported)

import tensorflow as tf  # isort: skip

from trainer.losses.softmax import BLOCKED, Choices, OwnFeatures, weighted_log_sum
from trainer.model.popularity import PastTrend, make_past_trend
from transform.trend import Buckets, TrendCounts

TARGETS, DIMENSION = 800, 65
WINDOWS = np.array([1, 7, 30])
BUCKETS = 1000

Loss = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


def main() -> None:
    """Prints the milliseconds of each form by catalogue."""
    arguments = _parser().parse_args()
    title = f"{TARGETS} targets at {arguments.moments} moments, {arguments.events:,} events"
    table = Table("items", "without", "kept", "added up", "longer vectors", title=title)
    for size in arguments.items:
        milliseconds = measure(size, arguments.moments, arguments.events, arguments.repeats)
        table.add_row(f"{size:,}", *(f"{value:.1f}" for value in milliseconds))
    Console().print(table)


def measure(size: int, moments: int, events: int, repeats: int) -> list[float]:
    """The median milliseconds of the forms, in the table's order."""
    rng = np.random.default_rng(0)
    bucket = np.sort(rng.choice(BUCKETS, moments, replace=False))
    group = tf.constant(np.sort(rng.integers(0, moments, TARGETS)))  # in the order of time, as in training
    counts = made_counts(rng, size, events)
    kept, added_up = (make_past_trend(counts, WINDOWS, size, kept) for kept in (1 << 40, 0))
    forms = [_without, *(_own(trend, tf.gather(bucket, group)) for trend in (kept, added_up))]
    steps = [_step(form) for form in [*forms, _longer(kept, tf.constant(bucket), group)]]
    inputs = [rng.normal(size=shape) for shape in ([TARGETS, DIMENSION], [size, DIMENSION], [TARGETS, len(WINDOWS)])]
    tensors = [tf.constant(values / 8, tf.float32) for values in inputs]
    return list(np.median([[_seconds(step, tensors) for step in steps] for _ in range(repeats + 1)][1:], axis=0) * 1e3)


def made_counts(rng: np.random.Generator, size: int, events: int) -> TrendCounts:
    """Events at random, the items' shares falling like 1 / rank."""
    share = 1 / np.arange(1, size + 1)
    item = rng.choice(size, events, p=share / share.sum())
    cells, count = np.unique(item * BUCKETS + rng.integers(0, BUCKETS, events), return_counts=True)
    return TrendCounts(Buckets(0, 86_400, BUCKETS), cells // BUCKETS, cells % BUCKETS, count)


def _softmax(query: tf.Tensor, candidates: tf.Tensor, own: OwnFeatures | None = None) -> tf.Tensor:
    """With nothing blocked and no candidates of the rows' own."""
    choices = Choices(tf.fill([TARGETS, 1], BLOCKED), candidates, tf.zeros([TARGETS, 0], tf.int64))
    return weighted_log_sum(query, choices, tf.ones([TARGETS]), own)


def _without(query: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    return _softmax(query, candidates) + 0 * tf.reduce_sum(weights)


def _own(trend: PastTrend, bucket: tf.Tensor) -> Loss:
    def loss(query: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        return _softmax(query, candidates, OwnFeatures(weights, trend.features(bucket, None)))

    return loss


def _longer(trend: PastTrend, bucket: tf.Tensor, group: tf.Tensor) -> Loss:
    def loss(query: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        features, row = trend.features(bucket, None)
        columns = tf.transpose(tf.gather(features, row), [2, 0, 1])
        own = weights[:, tf.newaxis] * tf.one_hot(group, tf.size(bucket))[:, :, tf.newaxis]
        query = tf.concat([query, tf.reshape(own, [TARGETS, -1])], axis=1)
        candidates = tf.concat([candidates, tf.reshape(columns, [tf.shape(candidates)[0], -1])], axis=1)
        return _softmax(query, candidates)

    return loss


def _step(loss: Loss) -> Callable[..., list[tf.Tensor]]:
    @tf.function
    def step(query: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor) -> list[tf.Tensor]:
        inputs = [query, candidates, weights]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            total = loss(*inputs)
        return tape.gradient(total, inputs)

    return step


def _seconds(step: Callable[..., list[tf.Tensor]], inputs: list[tf.Tensor]) -> float:
    start = time.perf_counter()
    step(*inputs)[0].numpy()
    return time.perf_counter() - start


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[1682, 4000, 20_000])
    parser.add_argument("--moments", type=int, default=150, help="distinct days among the targets")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=11)
    return parser


if __name__ == "__main__":
    main()
