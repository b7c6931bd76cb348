"""The time of one direct call of an exported model's signature, without server and network.

    python -m benchmarks.export_latency --model runs/movielens-100k/serving/recommender/1700000000

Requests name random users and random histories of the model's own items.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import trainer  # noqa: F401  (selects Keras 2 before TensorFlow is imported)

import tensorflow as tf  # isort: skip

_SIGNATURES = ("recommend", "retrieve", "embed_query", "evaluate")
_WARM_UP = 20


def main() -> None:
    """Prints the load time, the first call's time and p50, p99 of each signature and batch size, milliseconds."""
    arguments = _parser().parse_args()
    start = time.perf_counter()
    model = tf.saved_model.load(arguments.model)
    print(f"load {time.perf_counter() - start:.2f} s")
    items = model.item_ids.numpy()
    print(f"{len(items)} items, histories of {arguments.history} events\n")
    print(f"{'signature':<20}{'batch':>6}{'first ms':>10}{'p50 ms':>9}{'p99 ms':>9}")
    for signature in _SIGNATURES:
        for batch in arguments.batch:
            if signature in model.signatures:
                inputs = examples(items, batch, arguments.history)
                metrics = measure(model.signatures[signature], inputs, arguments.calls)
                print(f"{signature:<20}{batch:>6}{metrics[0]:>10.1f}{metrics[1]:>9.2f}{metrics[2]:>9.2f}")


def examples(items: np.ndarray, batch: int, history: int, seed: int = 0) -> tf.Tensor:
    """Serialized requests with histories of `history` items: string [batch]."""
    generator = np.random.default_rng(seed)
    return tf.constant([_example(generator.choice(items, history)) for _ in range(batch)])


def measure(function: Callable[..., Any], inputs: tf.Tensor, calls: int) -> tuple[float, float, float]:
    """The first call's milliseconds, and the median and 99th percentile of `calls` later ones."""
    times = np.array([_time(function, inputs) for _ in range(1 + _WARM_UP + calls)]) * 1000
    later = times[1 + _WARM_UP :]
    return times[0], float(np.percentile(later, 50)), float(np.percentile(later, 99))


def _time(function: Callable[..., Any], inputs: tf.Tensor) -> float:
    start = time.perf_counter()
    function(examples=inputs)
    return time.perf_counter() - start


def _example(history: np.ndarray) -> bytes:
    example = tf.train.Example()
    feature = example.features.feature
    feature["user_id"].bytes_list.value.append(b"1")
    feature["item_id"].bytes_list.value.extend(history)
    feature["time"].int64_list.value.extend(range(1_000_000_000, 1_000_000_000 + 60 * len(history) + 1, 60))
    return example.SerializeToString()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a SavedModel's folder")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 64], help="requests in a call")
    parser.add_argument("--history", type=int, default=50, help="events in a request's history")
    parser.add_argument("--calls", type=int, default=300, help="calls that are timed")
    return parser


if __name__ == "__main__":
    main()
