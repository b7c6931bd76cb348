"""The part of the examples that one of several workers reads, and its rows of every global batch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

SHARED: Final = -1
"""In place of a file's worker: all workers read the file, and each takes every n-th of its records."""
_TOLERANCE: Final = 1.2
"""The largest part of a worker by files, over the mean; else all workers read all files."""

Gather = Callable[[NDArray[Any]], list[NDArray[Any]]]
"""Returns the arrays of all workers, [n] each; all call it at the same point."""


def file_owners(sizes: Sequence[int], workers: int) -> NDArray[np.int64]:
    """Divides files among workers, the largest first to whoever has least: int64 [files].

    Args:
        sizes: Of the files, in bytes.
        workers: Their number.

    Returns:
        The worker of each file, or `SHARED` for all of them where files are too few to be divided evenly.
    """
    loads = np.zeros(workers)
    owners = np.zeros(len(sizes), np.int64)
    for file in np.argsort(-np.asarray(sizes), kind="stable"):
        owners[file] = np.argmin(loads)
        loads[owners[file]] += sizes[file]
    is_even = loads.max() <= _TOLERANCE * loads.mean()
    return owners if is_even else np.full(len(sizes), SHARED)


@dataclass(frozen=True)
class WorkerShare:
    """Which worker this process is.

    Every worker makes the same global batches in the same order, but has the records of its own files alone, and keeps
    those rows of each batch, which may be none. The loss is a mean over the global batch, so unequal parts do no harm.

    Attributes:
        worker: Counted from 0.
        workers: The number of workers.
        replicas: The number of this worker's replicas.
        gather: Exchanges arrays with the other workers.
    """

    worker: int
    workers: int
    replicas: int
    gather: Gather

    def split(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """Maps global batches of records, string [n], "" for those of other workers, to parts of this worker's.

        There is a part for each of its replicas, one after the other: of 5 records in 2 parts 3 and 2.
        """
        return batches.flat_map(self._parts)

    def _parts(self, batch: tf.Tensor) -> tf.data.Dataset:
        own = tf.boolean_mask(batch, tf.strings.length(batch) > 0)
        size = (tf.shape(own, tf.int64)[0] + self.replicas - 1) // self.replicas
        return tf.data.Dataset.range(self.replicas).map(lambda part: own[part * size : (part + 1) * size])
