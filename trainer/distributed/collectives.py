"""What the workers of one training say to each other, besides gradients."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import tensorflow as tf

from trainer.distributed.strategies import is_chief, is_multi_worker

_END = "\0"


def gathered(strategy: tf.distribute.Strategy, text: str) -> list[str]:
    """Every worker's text; each of them has to ask for it at the same point."""
    with strategy.scope():
        joined = _joined(tf.constant(list((text + _END).encode()), tf.int32))
    return bytes(joined.numpy().tolist()).decode().split(_END)[:-1]


@tf.function(input_signature=[tf.TensorSpec([None], tf.int32)], autograph=False)
def _joined(values: tf.Tensor) -> tf.Tensor:
    return tf.distribute.get_strategy().gather(values, axis=0)


def barrier(strategy: tf.distribute.Strategy) -> None:
    """Waits until all workers have come here."""
    if is_multi_worker(strategy):
        gathered(strategy, "")


def broadcast_from_chief(strategy: tf.distribute.Strategy, say: Callable[[], str]) -> str:
    """What the chief says; the others wait for it and say nothing."""
    return "".join(gathered(strategy, say() if is_chief(strategy) else ""))


def measured_by_chief(
    strategy: tf.distribute.Strategy, measure: Callable[[], dict[str, float]] | None
) -> Callable[[], dict[str, float]] | None:
    """The same metrics for all workers, digit by digit, so that all decide the same: when training stops, which epoch
    was the best, when the rate falls. The chief measures, the others wait."""
    if measure is None or not is_multi_worker(strategy):
        return measure
    return lambda: json.loads(broadcast_from_chief(strategy, lambda: json.dumps(measure())))


def check_alike(strategy: tf.distribute.Strategy, found: Mapping[str, int]) -> None:
    """Makes sure that all workers set out from the same position: later they would wait for each other for ever.

    Raises:
        RuntimeError: in every worker, where one has found something else.
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
    """Raises RuntimeError where another worker was lost: TensorFlow notices it within some ten seconds."""
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError) as error:
        raise RuntimeError(
            "another worker has ended or cannot be reached; its own output says why. Start all workers again: training"
            f" goes on after its last checkpoint. TensorFlow says: {_first_line(error.message)}"
        ) from error


def _first_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line and "execution error" not in line]
    return next((line for line in lines if "/job:" in line or "peer" in line), text[:200])
