"""Kind `multi_valued`: a list of strings."""

import tensorflow as tf


def multi_valued(values: tf.SparseTensor) -> tf.SparseTensor:
    """The values of each row without the empty ones: string, sparse [B, *] -> the same."""
    return tf.sparse.retain(values, tf.not_equal(values.values, ""))
