"""Kind `text`: words."""

import tensorflow as tf

_BETWEEN_WORDS = r"[^\pL\pM\pN]+"
"""Anything but letters, the marks that belong to letters (accents, vowel signs) and digits, of any script."""


def text(values: tf.SparseTensor, max_tokens: int) -> tf.SparseTensor:
    """The first `max_tokens` lower-cased words of each row.

    Args:
      values: UTF-8 string, sparse [B, *]; several texts of a row are joined.
      max_tokens: The number of words at most.

    Returns:
      string, sparse [B, *].
    """
    rows = tf.strings.reduce_join(tf.sparse.to_dense(values, default_value=""), axis=1, separator=" ")
    lower = tf.strings.lower(rows, encoding="utf-8")
    words = tf.strings.split(tf.strings.regex_replace(lower, _BETWEEN_WORDS, " "))
    return words[:, :max_tokens].to_sparse()
