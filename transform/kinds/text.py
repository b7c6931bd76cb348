"""Kind `text`: words of a vocabulary."""

import tensorflow as tf

from pipeline.config.features import Text
from transform.kinds.category import multi_valued

_BETWEEN_WORDS = r"[^\pL\pM\pN]+"
"""Anything but letters, the marks that belong to letters (accents, vowel signs) and digits, of any script."""


def text(values: tf.SparseTensor, feature: Text, name: str) -> tf.SparseTensor:
    """Texts to the indexes of their first `max_tokens` words.

    Args:
      values: UTF-8 string, sparse [B, *]; several texts of a row are joined.
      feature: The number of words, and size and frequency cut of the vocabulary.
      name: The vocabulary's file.

    Returns:
      int64, sparse [B, *].
    """
    return multi_valued(words(values, feature.max_tokens), feature, name)


def words(values: tf.SparseTensor, max_tokens: int) -> tf.SparseTensor:
    """The first `max_tokens` lower-cased words of each row: string, sparse [B, *]."""
    rows = tf.strings.reduce_join(tf.sparse.to_dense(values, default_value=""), axis=1, separator=" ")
    lower = tf.strings.lower(rows, encoding="utf-8")
    tokens = tf.strings.split(tf.strings.regex_replace(lower, _BETWEEN_WORDS, " "))
    return tokens[:, :max_tokens].to_sparse()
