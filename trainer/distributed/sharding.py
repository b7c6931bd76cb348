"""The part of every global batch that one of several workers reads."""

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class BatchShard:
    """Every worker makes the same global batches and keeps its own parts of them: so the plan of batches is one plan,
    and all workers take the same number of steps.

    A batch of n is cut into equal parts of ceil(n / parts), as `mirrored` does it; the last parts may be empty.

    Attributes:
        first: of this worker's parts, from 0.
        count: its parts, one for each of its replicas.
        parts: of the whole batch, one for each replica of all workers.
    """

    first: int = 0
    count: int = 1
    parts: int = 1

    @classmethod
    def of_pipeline(cls, context: tf.distribute.InputContext) -> "BatchShard":
        """That of one worker's input pipeline."""
        parts = context.num_replicas_in_sync
        count = parts // context.num_input_pipelines
        return cls(context.input_pipeline_id * count, count, parts)

    def of(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """From global batches [n, ...] to the parts [m, ...] of this worker, one behind the other."""
        return batches.flat_map(self._cut)

    def _cut(self, batch: tf.Tensor) -> tf.data.Dataset:
        size = (tf.shape(batch, tf.int64)[0] + self.parts - 1) // self.parts
        own = tf.data.Dataset.range(self.first, self.first + self.count)
        return own.map(lambda part: batch[part * size : (part + 1) * size])
