"""Large batches in blocks of rows, so that memory is needed for a block and not for the batch."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

CELLS = 1 << 25
"""Scores held at once, rows by items: 128 MiB."""


def in_row_blocks(
    function: Callable[..., dict[str, tf.Tensor]],
    inputs: tuple[Any, ...],
    rows: int | tf.Tensor,
    dtypes: dict[str, tf.DType],
    parallel: int = 1,
) -> dict[str, tf.Tensor]:
    """Applies a function to blocks of rows.

    For example, with `rows` = 2 the input [1, 2, 3] is cut into the blocks [1, 2] and [3, 0], and of the results
    [[f(1), f(2)], [f(3), f(0)]] the first three rows are returned.

    Args:
        function: takes the blocks [R, ...] of the (nested) inputs.
        inputs: tensors [B, ...].
        rows: the largest R.
        dtypes: the dtypes of the function's results, tensors [R, ...] by name.
        parallel: the number of blocks that may be computed side by side, each in memory of its own.

    Returns:
        [B, ...] by name.
    """
    inputs = tf.nest.map_structure(tf.convert_to_tensor, inputs)
    total = tf.shape(tf.nest.flatten(inputs)[0])[0]
    size = tf.maximum(tf.minimum(rows, total), 1)
    count = tf.maximum(-(-total // size), 1)

    def split(values: tf.Tensor) -> tf.Tensor:
        padded = tf.pad(values, [[0, count * size - total]] + [[0, 0]] * (values.shape.rank - 1))
        return tf.reshape(padded, [count, size, *_dimensions(values)[1:]])

    blocks = tf.nest.map_structure(split, inputs)
    # AutoGraph has nothing to convert here, and fails on blocks within blocks where it is called eagerly.
    of_block = tf.autograph.experimental.do_not_convert(lambda block: function(*block))
    results = tf.map_fn(of_block, blocks, fn_output_signature=dtypes, parallel_iterations=parallel)
    return {n: tf.reshape(r, [count * size, *_dimensions(r)[2:]])[:total] for n, r in results.items()}


def _dimensions(values: tf.Tensor) -> list[Any]:
    """The shape as integers where they are known, else as scalars."""
    dynamic = tf.shape(values)
    return [dynamic[i] if size is None else size for i, size in enumerate(values.shape)]
