"""Unicode's normalisation form C in plain TensorFlow ops, so that serving normalises text as training does.

Singletons are decomposed (the Kelvin sign to `K`), marks are ordered, and then marks are composed with the characters
before them (`e` and an acute to `é`), Korean letters to syllables. Unlike Unicode's algorithm it composes neighbours
only: a mark that cannot be composed blocks later ones, and composed characters are not decomposed for another mark that
would be ordered before theirs.
"""

import functools
import unicodedata
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

_ROUNDS = 3
"""No character is composed of more than four."""
_LEADING, _VOWEL, _TRAILING, _SYLLABLE = 0x1100, 0x1161, 0x11A7, 0xAC00
_VOWELS, _TRAILINGS = 21, 28
_ALL = 1 << 21
"""Greater than every code point."""
_PLAIN = 1 << 18
"""Code points from here on are neither decomposed nor composed."""

Integers = NDArray[np.int64]


class _Tables(NamedTuple):
    """Unicode's tables of characters and pairs, each sorted by key, int64.

    Attributes:
      apart: Characters that are always decomposed.
      starts: [N + 1], the index in `parts` at which those of each start.
      parts: Their decompositions.
      marks: Characters with a class.
      classes: Their canonical combining classes, by which marks are ordered.
      pairs: first * `_ALL` + second.
      composites: The composed characters.
    """

    apart: Integers
    starts: Integers
    parts: Integers
    marks: Integers
    classes: Integers
    pairs: Integers
    composites: Integers


def composed(texts: tf.Tensor) -> tf.Tensor:
    """Normalises texts to form C; bytes that are no UTF-8 become the replacement character.

    Args:
      texts: string [B].

    Returns:
      string [B].
    """
    others = tf.where(~tf.strings.regex_full_match(texts, r"[\x00-\x7F]*"))
    return tf.tensor_scatter_nd_update(texts, others, _composed(tf.gather_nd(texts, others)))


def _composed(texts: tf.Tensor) -> tf.Tensor:
    tables = _tables()
    characters = tf.cast(tf.strings.unicode_decode(texts, "UTF-8"), tf.int64)
    values, row = _ordered(*_taken_apart(characters.flat_values, characters.value_rowids(), tables), tables)
    for _ in range(_ROUNDS):
        values, row = _paired(values, row, tables)
    characters = tf.RaggedTensor.from_value_rowids(values, row, nrows=characters.nrows())
    return tf.strings.unicode_encode(tf.cast(characters, tf.int32), "UTF-8")


def _taken_apart(values: tf.Tensor, row: tf.Tensor, tables: _Tables) -> tuple[tf.Tensor, tf.Tensor]:
    position, is_there = _find(tables.apart, values)
    own = tf.range(tf.size(values), dtype=tf.int64) + len(tables.parts)
    starts = tf.where(is_there, tf.gather(tables.starts, position), own)
    ends = tf.where(is_there, tf.gather(tables.starts, position + 1), own + 1)
    parts = tf.ragged.range(starts, ends)
    found = tf.gather(tf.concat([tables.parts, values], axis=0), parts.flat_values)
    return found, tf.gather(row, parts.value_rowids())


def _ordered(values: tf.Tensor, row: tf.Tensor, tables: _Tables) -> tuple[tf.Tensor, tf.Tensor]:
    """Sorts the marks behind a character by their classes, stably."""
    position, is_mark = _find(tables.marks, values)
    of_mark = tf.where(is_mark, tf.gather(tables.classes, position), 0)
    is_start = (of_mark == 0) | (row != tf.concat([row[:1] - 1, row[:-1]], axis=0))
    order = tf.argsort(tf.cumsum(tf.cast(is_start, tf.int64)) * 256 + of_mark, stable=True)
    return tf.gather(values, order), row


def _paired(values: tf.Tensor, row: tf.Tensor, tables: _Tables) -> tuple[tf.Tensor, tf.Tensor]:
    """Composes neighbouring pairs."""
    first, second = values[:-1], values[1:]
    position, is_pair = _find(tables.pairs, first * _ALL + second)
    made = tf.where(is_pair, tf.gather(tables.composites, position), 0)
    made = tf.where(row[:-1] == row[1:], tf.maximum(made, _syllable(first, second)), 0)
    is_gone = tf.concat([tf.zeros_like(values[:1], tf.bool), made > 0], axis=0)
    made = tf.concat([made, tf.zeros_like(values[:1])], axis=0)
    values = tf.where(made > 0, made, values)
    return tf.boolean_mask(values, ~is_gone), tf.boolean_mask(row, ~is_gone)


def _syllable(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Composes Korean syllables of two letters, or of a syllable and a trailing letter; 0 for other pairs."""
    leading, vowel, trailing = first - _LEADING, second - _VOWEL, second - _TRAILING
    open_syllable = first - _SYLLABLE
    makes_open = (leading >= 0) & (leading < 19) & (vowel >= 0) & (vowel < _VOWELS)
    is_open = (open_syllable >= 0) & (open_syllable < 11172) & (open_syllable % _TRAILINGS == 0)
    makes_closed = is_open & (trailing > 0) & (trailing < _TRAILINGS)
    opened = _SYLLABLE + (leading * _VOWELS + vowel) * _TRAILINGS
    return tf.where(makes_open, opened, tf.where(makes_closed, first + trailing, 0))


def _find(keys: Integers, wanted: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Finds values among sorted keys: their positions, and whether they are there."""
    position = tf.minimum(tf.searchsorted(keys, wanted, out_type=tf.int64), len(keys) - 1)
    return position, tf.gather(keys, position) == wanted


@functools.cache
def _tables() -> _Tables:
    """Makes the tables from Python's `unicodedata`."""
    every = [chr(number) for number in range(_PLAIN) if not 0xD800 <= number < 0xE000]
    marks = [character for character in every if unicodedata.combining(character)]
    split = [c for c in every if unicodedata.decomposition(c) and not unicodedata.decomposition(c).startswith("<")]
    apart = [c for c in split if unicodedata.normalize("NFC", c) != c]
    whole = [c for c in split if unicodedata.normalize("NFC", c) == c]
    parts = [unicodedata.normalize("NFC", character) for character in apart]
    pairs = sorted({pair: character for character in whole for pair in _pairs(character)}.items())
    return _Tables(
        apart=_numbers("".join(apart)),
        starts=np.cumsum([0, *map(len, parts)]).astype(np.int64),
        parts=_numbers("".join(parts)),
        marks=_numbers("".join(marks)),
        classes=np.array([unicodedata.combining(mark) for mark in marks], np.int64),
        pairs=np.array([ord(a) * _ALL + ord(b) for (a, b), _ in pairs], np.int64),
        composites=_numbers("".join(character for _, character in pairs)),
    )


def _pairs(character: str) -> list[tuple[str, str]]:
    """Returns the pairs of a character and a mark that compose this one, in any order of its marks."""
    parts = unicodedata.normalize("NFD", character)
    others = ((unicodedata.normalize("NFC", parts[:i] + parts[i + 1 :]), parts[i]) for i in range(1, len(parts)))
    found = [(rest, mark) for rest, mark in others if len(rest) == 1]
    return [(a, b) for a, b in found if unicodedata.normalize("NFC", a + b) == character]


def _numbers(characters: str) -> Integers:
    return np.array([ord(character) for character in characters], np.int64)
