"""Kinds `categorical` and `multi_valued`: strings of a vocabulary."""

import tensorflow as tf
import tensorflow_transform as tft

from pipeline.config.features import Categorical
from transform.vocabulary import vocabulary_indexes


def categorical(values: tf.Tensor, analysed: tf.Tensor, feature: Categorical, name: str) -> tf.Tensor:
    """Values to indexes.

    Args:
      values: string, flat; "" is missing.
      analysed: string, flat: the values that the vocabulary is made of.
      feature: Size and frequency cut of the vocabulary.
      name: The vocabulary's file.

    Returns:
      int64, the shape of `values`: known values by falling frequency, then OOV buckets, then missing.
    """
    vocabulary = tft.vocabulary(
        analysed, top_k=feature.max_values, frequency_threshold=feature.min_count, vocab_filename=name
    )
    return vocabulary_indexes(values, vocabulary, feature.oov_buckets)


def multi_valued(values: tf.SparseTensor, feature: Categorical, name: str) -> tf.SparseTensor:
    """A list of values in each row to a list of indexes. Empty strings are dropped.

    Args:
      values: string, sparse [B, *].
      feature: Size and frequency cut of the vocabulary.
      name: The vocabulary's file.

    Returns:
      int64, sparse [B, *].
    """
    kept = tf.sparse.retain(values, tf.not_equal(values.values, ""))
    return kept.with_values(categorical(kept.values, kept.values, feature, name))
