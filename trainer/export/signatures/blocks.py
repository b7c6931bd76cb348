"""Large batches in blocks of rows."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

CELLS = 1 << 25
"""Scores held at once, rows by items: 128 MiB."""


def in_row_blocks(
    function: Callable[..., dict[str, tf.Tensor]], inputs: tuple[Any, ...], rows: int, dtypes: dict[str, tf.DType]
) -> dict[str, tf.Tensor]:
    """Applies a function to blocks of at most `rows` rows: memory for a block, not for the batch.

    Args:
        function: of the (nested) inputs' blocks, [R, ...] each.
        inputs: tensors [B, ...].
        rows: R at most.
        dtypes: of what the function returns, tensors [R, ...] by name.

    Returns:
        [B, ...] by name.
    """
    total = tf.shape(tf.nest.flatten(inputs)[0])[0]
    size = tf.maximum(tf.minimum(rows, total), 1)
    count = tf.maximum(-(-total // size), 1)

    def split(values: tf.Tensor) -> tf.Tensor:
        padded = tf.pad(values, [[0, count * size - total]] + [[0, 0]] * (values.shape.rank - 1))
        return tf.reshape(padded, [count, size, *_dimensions(values)[1:]])

    blocks = tf.nest.map_structure(split, inputs)
    # Blocks side by side would take the memory of all of them.
    answers = tf.map_fn(lambda block: function(*block), blocks, fn_output_signature=dtypes, parallel_iterations=1)
    return {n: tf.reshape(a, [count * size, *_dimensions(a)[2:]])[:total] for n, a in answers.items()}


def in_column_blocks(
    function: Callable[..., dict[str, tf.Tensor]], inputs: Any, columns: tf.Tensor, dtypes: dict[str, tf.DType]
) -> dict[str, tf.Tensor]:
    """Applies a function to blocks of at most `columns` columns, one after the other.

    Args:
        function: of the (nested) inputs' blocks, [R, C] each.
        inputs: tensors [R, N].
        columns: C at most.
        dtypes: of what the function returns, tensors [R, C, ...] by name.

    Returns:
        [R, N, ...] by name.
    """
    rows, total = tf.unstack(tf.shape(tf.nest.flatten(inputs)[0]))
    size = tf.maximum(tf.minimum(columns, total), 1)
    count = tf.maximum(-(-total // size), 1)

    def split(values: tf.Tensor) -> tf.Tensor:
        padded = tf.pad(values, [[0, 0], [0, count * size - total]])
        return tf.transpose(tf.reshape(padded, [rows, count, size]), [1, 0, 2])

    def join(values: tf.Tensor) -> tf.Tensor:
        rest = _dimensions(values)[3:]
        values = tf.transpose(values, [1, 0, *range(2, values.shape.rank)])
        return tf.reshape(values, [rows, count * size, *rest])[:, :total]

    blocks = tf.nest.map_structure(split, inputs)
    answers = tf.map_fn(function, blocks, fn_output_signature=dtypes, parallel_iterations=1)
    return {name: join(values) for name, values in answers.items()}


def _dimensions(values: tf.Tensor) -> list[Any]:
    """The shape as integers where they are known, else as scalars."""
    dynamic = tf.shape(values)
    return [dynamic[i] if size is None else size for i, size in enumerate(values.shape)]
