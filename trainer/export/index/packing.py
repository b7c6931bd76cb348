"""Three candidates in one float: small integers in fields of eight bits, multiplied by a query all at once.

Plain TensorFlow has no fast product of 8-bit integers on a CPU, but a fast one of float32, whose significand holds 24
bits: three fields of 8. Where query and candidates are small integers, the product of the query with
`a + 256 b + 65536 c` is `q.a + 256 q.b + 65536 q.c`, exact, and the three scores are its digits to the base 256. So a
scan reads a third of the bytes, multiplies a third as often, and decodes nothing but scores.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

FIELDS = 3
CHUNK = 1 << 14
"""Lanes that are packed at once: what is in between needs no memory for the whole catalogue."""
_BASE = 256.0
_LARGEST = 127.0
"""A score must stay within +-127, or it spills into its neighbour's field."""
EVEN = _LARGEST**0.5
"""The length of quantised items that leaves queries as much."""
FINE = 25.0
"""A length that rounds items half as much, for queries that are split (`split_query`)."""
_REFINEMENT = 4.0
_ROUNDING = 1.2
"""Four deviations of a score by rounding its query, in item lengths."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Scales:
    """What items and queries are multiplied with, dimension by dimension, so that both round equally well.

    Attributes:
        item, query: float32 [D]; item * query is 1 in every dimension, so that dot products are unchanged.
    """

    item: Floats
    query: Floats

    @classmethod
    def of(cls, vectors: Floats, queries: Floats) -> "Scales":
        """Scales that give both sides the same root mean square in every dimension.

        Args:
            vectors: float32 [V, D], what is rounded of the items.
            queries: float32 [N, D], a sample.
        """
        ratio = np.sqrt(_spread(queries) / _spread(vectors))
        return cls(ratio.astype(np.float32), (1 / ratio).astype(np.float32))


def quantise(vectors: Floats, norm: Floats, length: float) -> Floats:
    """Scaled vectors [N, D] as integers: one as long as its `norm` [N] gets the length `length`."""
    return np.rint(vectors * (length / np.maximum(norm, 1e-30)).astype(np.float32)[:, np.newaxis])


def pack(integers: Floats) -> Floats:
    """Joins the fields: [..., 3, D] -> [..., D]."""
    return integers[..., 0, :] + _BASE * integers[..., 1, :] + _BASE**2 * integers[..., 2, :]


def longest(integers: Floats) -> float:
    """The greatest length of quantised items [N, D], at least 1."""
    return float(np.sqrt(np.square(integers).sum(axis=1).max(initial=1.0)))


def query_length(item_length: float, dimension: int) -> float:
    """How long a scaled query may be so that no score with items of at most `item_length` spills over.

    By the inequality of Cauchy and Schwarz a score is at most the product of the lengths. Rounding a query changes a
    score by a random sum with the deviation of 0.29 item lengths, and by half the square root of D of them at most.
    """
    allowed = _LARGEST / item_length
    return max(allowed - min(dimension**0.5 / 2, _ROUNDING), allowed / 2)


def quantise_query(query: tf.Tensor, length: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Scaled queries [B, D] as integers, and what these are to be multiplied with, [B, 1]."""
    step = tf.maximum(tf.norm(query, axis=1, keepdims=True), 1e-30) / length
    return tf.round(query / step), step


def split_query(query: tf.Tensor, length: float) -> tuple[tf.Tensor, tf.Tensor]:
    """One scaled query [1, D] as two rows of integers [2, D], the second for what the first rounds off, finer.

    `join_scores` puts together what the rows score; the joined score is to be multiplied with the second result, [].
    """
    coarse, step = quantise_query(query, length)
    return tf.concat([coarse, tf.round((query / step - coarse) * _REFINEMENT)], axis=0), step[0, 0]


def join_scores(scores: tf.Tensor) -> tf.Tensor:
    """The integer scores of a split query's rows: [..., 2] -> [...]."""
    coarse, fine = tf.unstack(scores, axis=-1)
    return coarse + fine * (1 / _REFINEMENT)


def unpack(products: tf.Tensor) -> list[tf.Tensor]:
    """The fields' scores, each of the shape of the products."""
    last = tf.round(products * (1 / _BASE**2))
    products -= last * _BASE**2
    middle = tf.round(products * (1 / _BASE))
    return [products - middle * _BASE, middle, last]


def unpack_bytes(products: tf.Tensor) -> tf.Tensor:
    """The fields' scores plus 128, faster: float32 [...] -> uint8 [..., 4], of which the last is 0."""
    raised = products + (_LARGEST + 1) * (1 + _BASE + _BASE**2)
    return tf.bitcast(tf.cast(raised, tf.int32), tf.uint8)


def _spread(values: Floats) -> NDArray[Any]:
    """The root mean square of every dimension, kept away from 0."""
    spread = np.sqrt(np.square(values, dtype=np.float64).mean(axis=0)) if len(values) else np.ones(values.shape[1])
    return np.maximum(spread, max(1e-3 * spread.max(), 1e-12))
