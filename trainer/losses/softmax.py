"""The log-sum-exp of softmaxes over many candidates, with its gradients computed in one pass over the scores.

For rows t with weights w_t, queries q_t and candidates c_i,

    L = sum_t w_t log Z_t,  Z_t = sum_g exp(own_tg) + sum_i exp(s_ti),  s_ti = q_t . c_i + a_t . f_{m(t)} i

where candidates blocked in a row are left out, and a . f are the optional features that differ by row. The gradients
need nothing but the same exponentials: with p_ti = w_t exp(s_ti) / Z_t,

    dL/dq_t = sum_i p_ti c_i,  dL/dc_i = sum_t p_ti q_t,  dL/da_t = sum_i p_ti f_{m(t)} i,  dL/d(own_tg) = p_tg

so each block of rows computes its part of L and of all gradients while its scores are in the cache, and the T x N
scores are neither written to memory nor computed again (Hsu et al., "Liger Kernel: Efficient Triton Kernels for LLM
Training", 2024, do so for the last layer of a language model).
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

BLOCKED = -1e9
"""Added to the score of a candidate that does not count."""
NONE = BLOCKED / 2
"""The logarithm of an empty sum: above every blocked score, below every other."""

_ROWS = 128
"""Rows of a block: its scores stay in the cache, and there are enough rows for a fast matrix product."""
_SCORES = 1 << 24
"""The most scores (rows x candidates) of a block, 64 MB, as long as it has 16 rows."""
_AT_ONCE = 2
"""Blocks computed in parallel: small operations use the cores better side by side than each by itself."""


class Moments(NamedTuple):
    """Features of the candidates at R moments; all rows of a moment share them.

    Attributes:
        features: float [R, W, N].
        row: int64 [T], m: the moment of each row.
    """

    features: tf.Tensor
    row: tf.Tensor

    def of_rows(self, first: tf.Tensor | int, last: tf.Tensor | int) -> "Moments":
        """Selects the rows in [first, last) and the moments that they need.

        Example:
            With row = [3, 3, 0, 5], rows [1, 4) need the moments 3, 0, 5 and have row = [0, 1, 2].
        """
        moment, row = tf.unique(self.row[first:last], out_idx=tf.int64)
        return Moments(tf.gather(self.features, moment), row)


class OwnFeatures(NamedTuple):
    """The part of the scores that is no product with one vector of a candidate: weights[t] . features[row[t], :, i].

    Attributes:
        weights: float [T, W], a; they get a gradient, the features none.
        moments: The features.
    """

    weights: tf.Tensor
    moments: Moments


class Choices(NamedTuple):
    """The candidates of a softmax in each row.

    Attributes:
        own: float [T, G], scores of the row's own candidates; `BLOCKED` where there is none.
        candidates: float [N, E], scored by their product with the row's query.
        blocked: int64 [T, M], the candidates that do not count in each row; padded by values outside [0, N).
    """

    own: tf.Tensor
    candidates: tf.Tensor
    blocked: tf.Tensor


def weighted_log_sum(
    query: tf.Tensor,
    choices: Choices,
    weight: tf.Tensor,
    features: OwnFeatures | None = None,
    rows: int | None = None,
) -> tf.Tensor:
    """Computes L of the module's docstring.

    Args:
        query: float [T, E].
        choices: The candidates.
        weight: float [T]; no gradient.
        features: Added to the scores of `choices.candidates`.
        rows: Of a block. None: the fastest number.

    Returns:
        float scalar. A row without candidates adds `NONE` x its weight, without a gradient.
    """

    @tf.custom_gradient
    def result(
        query: tf.Tensor, own: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[[tf.Tensor], list[tf.Tensor]]]:
        given = None if features is None else OwnFeatures(weights, features.moments)
        found = _Blocks(query, Choices(own, candidates, choices.blocked), weight, given).sums(rows)
        by_input = (found.by_query, found.by_own, found.by_candidates, found.by_weights)
        return found.total, lambda upstream: [upstream * gradient for gradient in by_input]

    weights = tf.zeros_like(query[:, :0]) if features is None else features.weights
    return result(query, choices.own, choices.candidates, weights)


class _Sums(NamedTuple):
    """L and its gradients.

    Attributes:
        total: float scalar.
        by_candidates: float [N, E].
        by_query: float [T, E], of all rows or of a block's; the next two likewise.
        by_own: float [T, G].
        by_weights: float [T, W].
    """

    total: tf.Tensor
    by_candidates: tf.Tensor
    by_query: tf.Tensor
    by_own: tf.Tensor
    by_weights: tf.Tensor


class _Blocks(NamedTuple):
    """The arguments of `weighted_log_sum`, computed block by block."""

    query: tf.Tensor
    choices: Choices
    weight: tf.Tensor
    features: OwnFeatures | None

    def sums(self, height: int | None) -> _Sums:
        """Sums over blocks of `height` rows, and concatenates their gradients by rows."""
        rows, count = tf.shape(self.query, tf.int64)[0], tf.shape(self.choices.candidates, tf.int64)[0]
        if height is None:
            height = tf.clip_by_value(_SCORES // tf.maximum(count, 1), 16, _ROWS)
        height = tf.cast(height, tf.int64)
        blocks = tf.cast(tf.maximum((rows + height - 1) // height, 1), tf.int32)

        def add(number: tf.Tensor, total: tf.Tensor, by_candidates: tf.Tensor, *parts: tf.TensorArray) -> tuple:
            start = tf.cast(number, tf.int64) * height
            found = self._rows(start, tf.minimum(start + height, rows))
            written = (part.write(number, values) for part, values in zip(parts, found[2:], strict=True))
            return number + 1, total + found.total, by_candidates + found.by_candidates, *written

        width = 0 if self.features is None else int(self.features.weights.shape[1])
        widths = [self.query.shape[1], self.choices.own.shape[1], width]
        parts = [tf.TensorArray(tf.float32, blocks, infer_shape=False, element_shape=[None, w]) for w in widths]
        begin = (tf.constant(0), tf.constant(0.0), tf.zeros_like(self.choices.candidates), *parts)
        found = tf.while_loop(lambda number, *_: number < blocks, add, begin, parallel_iterations=_AT_ONCE)
        return _Sums(*found[1:3], *(part.concat() for part in found[3:]))

    def _rows(self, first: tf.Tensor, last: tf.Tensor) -> _Sums:
        """Computes the part of the rows in [first, last); exponentials are relative to the row's largest score."""
        query, own = self.query[first:last], self.choices.own[first:last]
        weight, candidates = self.weight[first:last, tf.newaxis], self.choices.candidates
        given = None if self.features is None else _Selection.of(self.features, first, last)
        scores = [tf.matmul(query, candidates, transpose_b=True)] + ([] if given is None else [given.scores()])
        scores = _masked(scores, self.choices.blocked[first:last])
        most = tf.maximum(*(tf.reduce_max(values, axis=1, keepdims=True) for values in (scores, own)))
        most = tf.maximum(most, NONE)
        exponentials, own = tf.exp(scores - most), tf.exp(own - most)
        total = tf.reduce_sum(exponentials, axis=1, keepdims=True) + tf.reduce_sum(own, axis=1, keepdims=True)
        log_sum = most + tf.math.log(tf.where(total > 0, total, 1))
        factor = tf.math.divide_no_nan(weight, total)
        return _Sums(
            total=tf.reduce_sum(weight * log_sum),
            by_candidates=tf.matmul(exponentials, factor * query, transpose_a=True),
            by_query=factor * tf.matmul(exponentials, candidates),
            by_own=factor * own,
            by_weights=tf.zeros_like(query[:, :0]) if given is None else factor * given.gradient(exponentials),
        )


class _Selection(NamedTuple):
    """The own features of r rows as one matrix product: rows of one moment share its features.

    Example:
        Two rows with weights a and b, of moments 1 and 0 of two, have the scores

            [0 a]   [f_0]
            [b 0] . [f_1]

        where each f is [W, N].

    Attributes:
        weights: float [r, W].
        is_own: float [r, R, 1], 1 at each row's moment.
        features: float [R x W, N].
    """

    weights: tf.Tensor
    is_own: tf.Tensor
    features: tf.Tensor

    @classmethod
    def of(cls, features: OwnFeatures, first: tf.Tensor, last: tf.Tensor) -> "_Selection":
        """Selects the rows in [first, last)."""
        moments = features.moments.of_rows(first, last)
        count, width, candidates = tf.unstack(tf.shape(moments.features))
        is_own = tf.one_hot(moments.row, count)[..., tf.newaxis]
        return cls(features.weights[first:last], is_own, tf.reshape(moments.features, [count * width, candidates]))

    def scores(self) -> tf.Tensor:
        """Computes their part of the scores: float [r, N]."""
        shape = [tf.shape(self.weights)[0], tf.shape(self.features)[0]]
        return tf.matmul(tf.reshape(self.is_own * self.weights[:, tf.newaxis], shape), self.features)

    def gradient(self, by_score: tf.Tensor) -> tf.Tensor:
        """Computes the gradient by the weights, float [r, W], from that by the scores, float [r, N]."""
        by_moment = tf.matmul(by_score, self.features, transpose_b=True)
        shape = tf.concat([tf.shape(self.is_own)[:2], [self.weights.shape[1]]], axis=0)
        return tf.reduce_sum(tf.reshape(by_moment, shape) * self.is_own, axis=1)


def _masked(terms: list[tf.Tensor], blocked: tf.Tensor) -> tf.Tensor:
    """Adds the terms float [r, N], and `BLOCKED` at the columns int64 [r, M].

    Example:
        With N = 5, blocked [[1, 5], [3, 3]] adds to the cells 1 and 1 * 5 + 3 = 8 of the flattened scores.
    """
    shape = tf.shape(terms[0], tf.int64)
    position = tf.where((blocked >= 0) & (blocked < shape[1]))
    # Adding a mask takes a fraction of the time of an update of the scores in place (`tensor_scatter_nd_update`).
    mask = tf.raw_ops.SparseToDense(
        sparse_indices=position[:, 0] * shape[1] + tf.gather_nd(blocked, position),
        output_shape=tf.reduce_prod(shape, keepdims=True),
        sparse_values=BLOCKED,
        default_value=0.0,
        validate_indices=False,
    )
    return tf.add_n([*terms, tf.reshape(mask, shape)])  # one pass over all of them
