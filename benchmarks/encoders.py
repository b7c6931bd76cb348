"""What each history encoder costs: a training step, forward and backward; one request, forward; and its weights.

    python -m benchmarks.encoders --encoder gru+decay hstu

The encoder alone, on random windows: no embedding tables, no softmax and no optimizer.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table

import trainer  # noqa: F401  (selects Keras 2 before TensorFlow is imported)

import tensorflow as tf  # isort: skip

from config.model import ENCODERS, HistoryConfig
from trainer.distributed.randomness import Randomness
from trainer.layers.encoders.history import HistoryEncoder

_SUMS = ("attention+decay", "mingru+decay", "gru+decay")
_WARM_UP = 5
_VISIBLE = 0.9


def main() -> None:
    """Prints each encoder's weights, and milliseconds: a step's best, median and processors' time; a request's."""
    arguments = _parser().parse_args()
    title = f"batch {arguments.batch}, {arguments.length} events, dimension {arguments.dimension}"
    table = Table("encoder", "weights", "best ms", "p50 ms", "cpu ms", "request: best ms", "p50 ms", title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    for name in arguments.encoder:
        config = HistoryConfig(
            encoder=name, layers=arguments.layers, max_events=arguments.length, time_bias=arguments.time_bias
        )
        encoder = HistoryEncoder(config, Randomness(1, tf.Variable(0, dtype=tf.int64)))
        drawn = windows(arguments)
        step = measure(training_step(encoder, *drawn), arguments.steps)
        metrics = (*step, *measure(request(encoder, *(values[:1] for values in drawn)), arguments.steps)[:2])
        weights = sum(int(np.prod(w.shape)) for w in encoder.trainable_variables)
        table.add_row(name, f"{weights:,}", *(f"{metric:.2f}" for metric in metrics))
    Console().print(table)


def windows(arguments: argparse.Namespace, seed: int = 0) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Random events float [B, L, D], visibility bool [B, L] and times int64 [B, L]."""
    generator = np.random.default_rng(seed)
    shape = (arguments.batch, arguments.length)
    events = tf.constant(generator.normal(size=(*shape, arguments.dimension)), tf.float32)
    visible = tf.constant(generator.random(shape) < _VISIBLE)
    return events, visible, tf.constant(10**9 + np.cumsum(generator.integers(0, 10**4, shape), axis=1))


def training_step(
    encoder: HistoryEncoder, events: tf.Tensor, visible: tf.Tensor, times: tf.Tensor
) -> Callable[[], list[tf.Tensor]]:
    """The gradients of the weights and of the events, in a graph of unknown batch size and length."""
    encoder(events, visible, times)
    shape = tf.TensorSpec([None, None, events.shape[-1]])

    @tf.function(input_signature=[shape, tf.TensorSpec([None, None], tf.bool), tf.TensorSpec([None, None], tf.int64)])
    def step(events: tf.Tensor, visible: tf.Tensor, times: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(events)
            loss = tf.reduce_sum(encoder(events, visible, times, training=True) * events)
        return tape.gradient(loss, [events, *encoder.trainable_variables])

    return lambda: step(events, visible, times)


def request(
    encoder: HistoryEncoder, events: tf.Tensor, visible: tf.Tensor, times: tf.Tensor
) -> Callable[[], list[tf.Tensor]]:
    """The state behind the last event of one row."""
    return tf.function(lambda: [encoder(events, visible, times, newest=True)], autograph=False)


def measure(step: Callable[[], list[tf.Tensor]], steps: int) -> tuple[float, float, float]:
    """Milliseconds of the fastest and the median step, and of all processors' work in a step on average.

    The last tells the cost on a machine that others use too.
    """
    for _ in range(_WARM_UP):
        step()
    start = time.process_time()
    times = [_time(step) for _ in range(steps)]
    worked = (time.process_time() - start) / steps
    return min(times) * 1000, float(np.median(times)) * 1000, worked * 1000


def _time(step: Callable[[], list[tf.Tensor]]) -> float:
    start = time.perf_counter()
    step()[-1].numpy()
    return time.perf_counter() - start


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", nargs="+", default=[*ENCODERS, *_SUMS], help="as in `model.history.encoder`")
    parser.add_argument("--batch", type=int, default=16, help="windows in a batch")
    parser.add_argument("--length", type=int, default=100, help="events in a window")
    parser.add_argument("--dimension", type=int, default=64, help="`model.dimension`")
    parser.add_argument("--layers", type=int, default=1, help="`model.history.layers`")
    parser.add_argument("--time-bias", action="store_true", help="`model.history.time_bias`")
    parser.add_argument("--steps", type=int, default=50, help="steps that are timed")
    return parser


if __name__ == "__main__":
    main()
