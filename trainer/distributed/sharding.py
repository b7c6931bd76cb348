"""The shard of every global batch that one of several workers reads."""

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class BatchShard:
    """Selects a worker's parts of the global batches.

    Every worker reads the same global batches and keeps its own parts of them: all share one plan of batches and take
    the same number of steps.

    Example:
        A batch of 10 in 4 parts is split into 3, 3, 3 and 1, as `MirroredStrategy` does it; the last parts may be
        empty. The second of two workers with two replicas each has `first` 2, `count` 2: it reads 3 and 1.

    Attributes:
        first: Index of this worker's first part.
        count: The number of its parts, one for each of its replicas.
        parts: The number of parts of the whole batch, one for each replica of all workers.
    """

    first: int = 0
    count: int = 1
    parts: int = 1

    @classmethod
    def of_pipeline(cls, context: tf.distribute.InputContext) -> "BatchShard":
        """Returns the shard of one worker's input pipeline."""
        parts = context.num_replicas_in_sync
        count = parts // context.num_input_pipelines
        return cls(context.input_pipeline_id * count, count, parts)

    def of(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """Maps global batches [n, ...] to the parts [m, ...] of this worker, one after the other."""
        return batches.flat_map(self._split)

    def _split(self, batch: tf.Tensor) -> tf.data.Dataset:
        size = (tf.shape(batch, tf.int64)[0] + self.parts - 1) // self.parts
        own = tf.data.Dataset.range(self.first, self.first + self.count)
        return own.map(lambda part: batch[part * size : (part + 1) * size])
