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
    answers = tf.map_fn(lambda block: function(*block), blocks, fn_output_signature=dtypes)
    return {n: tf.reshape(a, [count * size, *_dimensions(a)[2:]])[:total] for n, a in answers.items()}


def _dimensions(values: tf.Tensor) -> list[Any]:
    """The shape as integers where they are known, else as scalars."""
    dynamic = tf.shape(values)
    return [dynamic[i] if size is None else size for i, size in enumerate(values.shape)]
