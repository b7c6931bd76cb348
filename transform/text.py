"""The kind `text`: words, and pairs of characters in scripts without blanks between words."""

import tensorflow as tf

from transform.composed import composed

_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\x{30FC}\x{FF70}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]\pM*"
"""A character, with its marks, of a script without blanks between words; two of them are the sounds' long marks."""
_SIGNED = r"((?:\p{Latin}|\pN)\pM*)"
_PLUS, _SHARP, _BREAK, _CHARACTER = "\x01", "\x02", "\x03", "\x04"
"""Replace + and # that belong to a word and the text between words, and precede a character of `_UNSPACED`."""
_BETWEEN_WORDS = rf"[^\pL\pM\pN{_PLUS}{_SHARP}]+"
"""Anything but letters, the marks that belong to letters (accents, vowel signs) and digits, of any script."""


def text(values: tf.SparseTensor, max_tokens: int) -> tf.SparseTensor:
    """Splits each row into its first `max_tokens` lower-cased words.

    Letters and their marks are normalised (`composed`). The signs of `C++` and `C#` belong to the word, and a plus that
    ends one (`Disney+`). Chinese, Japanese, Thai, Lao, Khmer and Burmese, which put no blanks between words, are split
    into pairs of neighbouring characters, so that phrases with a common word have common pairs.

    Args:
      values: UTF-8 string, sparse [B, *]; several texts of a row are joined.
      max_tokens: The number of words at most.

    Returns:
      string, sparse [B, *].
    """
    rows = tf.strings.reduce_join(tf.sparse.to_dense(values, default_value=""), axis=1, separator=" ")
    rows = composed(tf.strings.lower(rows, encoding="utf-8"))
    words = _with_pairs(tf.strings.split(_parted(rows)))
    return words[:, :max_tokens].to_sparse()


def _parted(rows: tf.Tensor) -> tf.Tensor:
    """Blanks between words and around each character of `_UNSPACED`; where words end, `_BREAK`."""
    rows = tf.strings.regex_replace(rows, r"[\x00-\x1F]+", " ")
    rows = tf.strings.regex_replace(rows, rf"{_SIGNED}\+\+", rf"\1{_PLUS}{_PLUS} ")
    rows = tf.strings.regex_replace(rows, rf"{_SIGNED}#", rf"\1{_SHARP} ")
    rows = tf.strings.regex_replace(rows, rf"{_SIGNED}\+([^\pL\pM\pN]|$)", rf"\1{_PLUS}\2")
    rows = tf.strings.regex_replace(rows, _BETWEEN_WORDS, f" {_BREAK} ")
    return tf.strings.regex_replace(rows, rf"({_UNSPACED})", rf" {_CHARACTER}\1 ")


def _with_pairs(parts: tf.RaggedTensor) -> tf.RaggedTensor:
    """Joins neighbouring single characters to pairs; other words, and characters without neighbours, stay."""
    part, row = parts.flat_values, parts.value_rowids()
    is_character = tf.strings.regex_full_match(part, rf"{_CHARACTER}.*")
    joins = is_character[:-1] & is_character[1:] & (row[:-1] == row[1:])
    none = tf.zeros_like(is_character[:1])
    with_next, with_last = tf.concat([joins, none], axis=0), tf.concat([none, joins], axis=0)
    following = tf.concat([part[1:], tf.zeros_like(part[:1])], axis=0)
    words = tf.where(with_next, part + following, part)
    for sign, meant in ((_CHARACTER, ""), (_PLUS, "+"), (_SHARP, "#")):
        words = tf.strings.regex_replace(words, sign, meant)
    is_word = (part != _BREAK) & (with_next | ~with_last)
    kept = tf.boolean_mask(words, is_word), tf.boolean_mask(row, is_word)
    return tf.RaggedTensor.from_value_rowids(*kept, nrows=parts.nrows())
