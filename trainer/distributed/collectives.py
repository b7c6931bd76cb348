"""Collectives beside the gradients' reduction: tensors among replicas, text and metrics among workers."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from config.cluster import Cluster
from trainer.distributed.restarts import LostWorkerError
from trainer.distributed.sharding import WorkerShare
from trainer.distributed.strategies import is_chief, is_multi_worker

_END = "\0"


def global_sum(value: tf.Tensor) -> tf.Tensor:
    """Sums each replica's tensor over all replicas; no gradient flows through it."""
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.stop_gradient(value))


def global_concat(value: tf.Tensor) -> tf.Tensor:
    """Concatenates the replicas' tensors [n, ...] in the order of the replicas; no gradient flows through it."""
    if tf.distribute.in_cross_replica_context():  # while weights are made: nothing is computed
        return value
    return tf.distribute.get_replica_context().all_gather(tf.stop_gradient(value), axis=0)


def gathered(strategy: tf.distribute.Strategy, text: str) -> list[str]:
    """Returns every worker's text; all workers have to call it at the same point."""
    with strategy.scope():
        joined = _joined(tf.constant(list((text + _END).encode()), tf.int32))
    return bytes(joined.numpy().tolist()).decode().split(_END)[:-1]


def gathered_arrays(strategy: tf.distribute.Strategy, values: NDArray[Any]) -> list[NDArray[Any]]:
    """Returns every worker's array [n] of one dtype of 4 or 8 bytes; all workers have to call it at the same point."""
    sizes = [int(size) for size in gathered(strategy, str(values.size))]
    if not any(sizes):  # gathering nothing at all is a segmentation fault
        return [values] * len(sizes)
    with strategy.scope():
        joined = _joined(tf.constant(np.ascontiguousarray(values).view(np.int32), tf.int32))
    return np.split(joined.numpy().view(values.dtype), np.cumsum(sizes)[:-1])


@tf.function(input_signature=[tf.TensorSpec([None], tf.int32)], autograph=False)
def _joined(values: tf.Tensor) -> tf.Tensor:
    return tf.distribute.get_strategy().gather(values, axis=0)


def barrier(strategy: tf.distribute.Strategy) -> None:
    """Waits until all workers have reached this point."""
    if is_multi_worker(strategy):
        gathered(strategy, "")


def broadcast_from_chief(strategy: tf.distribute.Strategy, make_text: Callable[[], str]) -> str:
    """Returns the chief's text in all workers; `make_text` is called in the chief alone."""
    return "".join(gathered(strategy, make_text() if is_chief(strategy) else ""))


def worker_share(strategy: tf.distribute.Strategy) -> WorkerShare | None:
    """Returns which of several workers this process is; None where it is the only one."""
    if not is_multi_worker(strategy):
        return None
    cluster = Cluster.read(os.environ)
    workers = len(cluster.addresses)
    replicas = strategy.num_replicas_in_sync // workers
    return WorkerShare(cluster.index, workers, replicas, partial(gathered_arrays, strategy))


def measured_by_chief(
    strategy: tf.distribute.Strategy, measure: Callable[[], dict[str, float]] | None
) -> Callable[[], dict[str, float]] | None:
    """Returns a function that gives all workers the chief's metrics, equal in every digit.

    All workers then take the same decisions: when training stops, which epoch was the best, when the rate falls.
    """
    return None if measure is None else lambda: numbers_of_chief(strategy, measure)


def numbers_of_chief(strategy: tf.distribute.Strategy, measure: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Returns the chief's numbers by name in all workers; `measure` is called in the chief alone."""
    if not is_multi_worker(strategy):
        return measure()
    return json.loads(broadcast_from_chief(strategy, lambda: json.dumps(measure())))


def check_alike(strategy: tf.distribute.Strategy, found: Mapping[str, int]) -> None:
    """Checks that all workers start from the same numbers: otherwise they would wait for each other for ever.

    Raises:
        RuntimeError: In every worker, if one has found other numbers.
    """
    if not is_multi_worker(strategy):
        return
    texts = gathered(strategy, ", ".join(f"{name} {number}" for name, number in found.items()))
    if len(set(texts)) > 1:
        raise RuntimeError(
            f"all workers should read the same examples and checkpoints. Received: {'; '.join(sorted(set(texts)))}"
        )


@contextmanager
def losses_explained() -> Iterator[None]:
    """Raises `LostWorkerError` where another worker was lost: TensorFlow notices it within some ten seconds."""
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError) as error:
        lines = [line for line in error.message.splitlines() if line and "execution error" not in line]
        reason = next((line for line in lines if "/job:" in line or "peer" in line), error.message[:200])
        raise LostWorkerError(
            "another worker has ended or cannot be reached; its own output says why. Start all workers again: training"
            f" goes on after its last checkpoint. TensorFlow says: {reason}"
        ) from error
