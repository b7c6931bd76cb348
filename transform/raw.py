"""Raw examples as sparse tensors of the requested types, whatever the schema holds."""

from collections.abc import Mapping

import tensorflow as tf

from config import feature_names


class RawExamples:
    """A batch of raw examples.

    A feature that the schema lacks (no value in any split) reads as empty in every row. A categorical feature that
    the schema holds as numbers reads as their decimal text.

    Args:
      inputs: Features by name, each a SparseTensor [B, *].

    Raises:
      ValueError: If there is no feature, or one has a fixed shape.
    """

    def __init__(self, inputs: Mapping[str, tf.SparseTensor]) -> None:
        dense = sorted(name for name, value in inputs.items() if not isinstance(value, tf.SparseTensor))
        if not inputs or dense:
            raise ValueError(
                "The schema should hold features of variable length only (no `shape`), so that a request may lack any. "
                f"Received: {', '.join(dense) or 'no feature at all'}"
            )
        self._inputs = dict(inputs)
        self._rows = next(iter(inputs.values())).dense_shape[0]

    def strings(self, name: str) -> tf.SparseTensor:
        """Returns a feature as bytes, sparse [B, *]."""
        values = self._get(name, tf.string)
        return values if values.dtype == tf.string else values.with_values(tf.strings.as_string(values.values))

    def integers(self, name: str) -> tf.SparseTensor:
        """Returns a feature as int64, sparse [B, *]."""
        return self._numeric(name, tf.int64)

    def floats(self, name: str) -> tf.SparseTensor:
        """Returns a feature as float32, sparse [B, *]."""
        return self._numeric(name, tf.float32)

    def flag(self, name: str, values: tf.SparseTensor) -> tf.Tensor:
        """Returns whether the int64 feature `name` is 1 at the index of each value: bool, flat; False where absent."""
        return tf.equal(self.integers_at(name, values), 1)

    def integers_at(self, name: str, values: tf.SparseTensor) -> tf.Tensor:
        """Returns the int64 feature `name` at the index of each value: int64, flat; 0 where absent."""
        found = self.integers(name)
        shape = tf.maximum(found.dense_shape, values.dense_shape)
        dense = tf.sparse.to_dense(tf.SparseTensor(found.indices, found.values, shape))
        return tf.gather_nd(dense, values.indices)

    def targets_per_row(self) -> tf.Tensor:
        """Returns the number of training targets in each window: int64 [B]."""
        targets = self.integers(feature_names.IS_TARGET)
        return tf.math.unsorted_segment_sum(targets.values, targets.indices[:, 0], self._rows)

    def _numeric(self, name: str, dtype: tf.DType) -> tf.SparseTensor:
        values = self._get(name, dtype)
        if values.dtype == tf.string:
            raise ValueError(f"`{name}` should be INT or FLOAT in the schema. Received: BYTES")
        return tf.cast(values, dtype)

    def _get(self, name: str, dtype: tf.DType) -> tf.SparseTensor:
        if name in self._inputs:
            return self._inputs[name]
        return tf.SparseTensor(
            indices=tf.zeros([0, 2], tf.int64),
            values=tf.zeros([0], dtype),
            dense_shape=tf.stack([self._rows, tf.zeros_like(self._rows)]),
        )
