"""Strings to indexes by a vocabulary of the training data."""

import contextlib

import tensorflow as tf
import tensorflow_transform as tft


def vocabulary_indexes(values: tf.Tensor, vocabulary: tf.Tensor, oov_buckets: int = 1) -> tf.Tensor:
    """Looks values up: known ones first, then the OOV buckets (chosen by a hash), then one index for "".

    Args:
      values: string, flat.
      vocabulary: The path that `tft.vocabulary` returned.
      oov_buckets: The number of indexes that unknown values share.

    Returns:
      int64, same shape, in [0, known + oov_buckets + 1).
    """

    def lookup(keys: tf.Tensor, path: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with _outside_function(path):
            initializer = tf.lookup.TextFileInitializer(
                path, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
            )
            table = tf.lookup.StaticVocabularyTable(initializer, oov_buckets)
            missing = table.size()
        return tf.where(tf.equal(keys, ""), missing, table.lookup(keys)), missing + 1

    return tft.apply_vocabulary(values, vocabulary, lookup_fn=lookup)


def _outside_function(path: tf.Tensor) -> contextlib.AbstractContextManager[None]:
    """Lifts a table whose file is known out of the graph function, so that it is initialised once."""
    return contextlib.nullcontext() if tf.is_symbolic_tensor(path) else tf.init_scope()
