"""Three candidates in one float: small integers in fields of eight bits, multiplied by a query all at once.

Plain TensorFlow has no fast product of 8-bit integers on a CPU, but a fast one of float32, whose significand holds 24
bits: three fields of 8. Where query and candidates are small integers, the product of the query with
`a + 256 b + 65536 c` is `q.a + 256 q.b + 65536 q.c`, exact, and the three scores are its digits to the base 256. So a
scan reads a third of the bytes, multiplies a third as often, and decodes nothing but scores.

For example, the items [1, -2], [3, 0] and [-4, 5] are packed into [1 + 256 x 3 - 65536 x 4, -2 + 65536 x 5] =
[-261375, 327678]. The product with the query [6, -7] is -3861996 = 20 + 256 x 18 - 65536 x 59: the scores 20, 18, -59.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

FIELDS = 3
CHUNK = 1 << 14
"""Lanes that are packed at once, so that intermediate arrays need no memory for the whole catalogue."""
_BASE = 256.0
_LARGEST = 127.0
"""A score must stay within +-127, or it spills into the next field."""
EVEN = _LARGEST**0.5
"""The length of quantised items that leaves queries the same length."""
FINE = 25.0
"""A length with half the rounding error of items, for queries that are split (`split_query`)."""
_REFINEMENT = 4.0
_ROUNDING = 1.2
"""Four standard deviations of a score's error by rounding the query, in item lengths."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Scales:
    """Factors of items and queries by dimension, with which both lose as little to rounding.

    Attributes:
        item, query: float32 [D]; item * query is 1 in every dimension, so that dot products are unchanged.
    """

    item: Floats
    query: Floats

    @classmethod
    def of(cls, vectors: Floats, queries: Floats) -> "Scales":
        """Computes scales that give both sides the same root mean square in every dimension.

        Args:
            vectors: float32 [V, D], the vectors of items that are to be rounded.
            queries: float32 [N, D], a sample of queries.
        """
        ratio = np.sqrt(_spread(queries) / _spread(vectors))
        return cls(ratio.astype(np.float32), (1 / ratio).astype(np.float32))


def quantise(vectors: Floats, norm: Floats, length: float) -> Floats:
    """Rounds scaled vectors [N, D] to integers, such that vectors of the length `norm` [N] get the length `length`."""
    return np.rint(vectors * (length / np.maximum(norm, 1e-30)).astype(np.float32)[:, np.newaxis])


def pack(integers: Floats) -> Floats:
    """Joins the fields: [..., 3, D] -> [..., D]."""
    return integers[..., 0, :] + _BASE * integers[..., 1, :] + _BASE**2 * integers[..., 2, :]


def longest(integers: Floats) -> float:
    """Returns the greatest length of quantised items [N, D], at least 1."""
    return float(np.sqrt(np.square(integers).sum(axis=1).max(initial=1.0)))


def query_length(item_length: float, dimension: int) -> float:
    """Returns how long a quantised query may be so that no score with items of at most `item_length` spills over.

    By the Cauchy-Schwarz inequality a score is at most the product of the lengths. Rounding a query changes a score by
    a random sum with a standard deviation of 0.29 item lengths, and by at most sqrt(D) / 2 item lengths.
    """
    allowed = _LARGEST / item_length
    return max(allowed - min(dimension**0.5 / 2, _ROUNDING), allowed / 2)


def quantise_query(query: tf.Tensor, length: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Rounds scaled queries [B, D] to integers, and returns these with the size of an integer step, [B, 1]."""
    step = tf.maximum(tf.norm(query, axis=1, keepdims=True), 1e-30) / length
    return tf.round(query / step), step


def split_query(query: tf.Tensor, length: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Rounds one scaled query [1, D] to two rows of integers [2, D], the second for the rounding error of the first.

    For example, in steps of 1 the query [2.3] is [2] and, in steps of 1 / 4, [1]: 2 + 1 / 4 = 2.25. `join_scores` joins
    the scores of the rows; the result is to be multiplied by the size of an integer step, the second result, [].
    """
    coarse, step = quantise_query(query, length)
    return tf.concat([coarse, tf.round((query / step - coarse) * _REFINEMENT)], axis=0), step[0, 0]


def join_scores(scores: tf.Tensor) -> tf.Tensor:
    """Joins the integer scores of a split query's rows: [..., 2] -> [...]."""
    coarse, fine = tf.unstack(scores, axis=-1)
    return coarse + fine * (1 / _REFINEMENT)


def unpack(products: tf.Tensor) -> list[tf.Tensor]:
    """Unpacks products into the three fields' scores, each of the shape of the products."""
    last = tf.round(products * (1 / _BASE**2))
    products -= last * _BASE**2
    middle = tf.round(products * (1 / _BASE))
    return [products - middle * _BASE, middle, last]


def unpack_bytes(products: tf.Tensor) -> tf.Tensor:
    """Unpacks products faster, into the scores plus 128: float32 [...] -> uint8 [..., 4], of which the last is 0."""
    raised = products + (_LARGEST + 1) * (1 + _BASE + _BASE**2)
    return tf.bitcast(tf.cast(raised, tf.int32), tf.uint8)


def _spread(values: Floats) -> NDArray[Any]:
    """The root mean square of every dimension, bounded away from 0."""
    spread = np.sqrt(np.square(values, dtype=np.float64).mean(axis=0)) if len(values) else np.ones(values.shape[1])
    return np.maximum(spread, max(1e-3 * spread.max(), 1e-12))
