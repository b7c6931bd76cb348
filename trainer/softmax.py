"""The denominator of a softmax over many candidates, in little memory and few passes over the scores."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import tensorflow as tf

BLOCKED = -1e9
"""Added to the score of a candidate that does not count."""
NONE = BLOCKED / 2
"""The logarithm of a sum of nothing: above every blocked score, below every other."""

KEPT = 1 << 25
"""Up to so many scores (rows x candidates) the forward pass keeps for the backward pass."""
BLOCK = 1 << 22
"""Where there are more: how many are made at a time."""

_Gradient = Callable[..., tuple[tf.Tensor, ...]]
_Place: TypeAlias = tf.Tensor | int


class OwnFeatures(NamedTuple):
    """A part of the scores that is no product with one vector of a candidate: each row has its own features of it.

    The score of row t for candidate i gets weights[t] . features[t, :, i].

    Attributes:
        weights: float [T, W], of the rows; they get a gradient, the features none.
        features: gives float [T, W, last - first] for the candidates from `first` on, before `last`.
    """

    weights: tf.Tensor
    features: Callable[[_Place, _Place], tf.Tensor]


def weighed_features(weights: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
    """float [T, W], float [T, W, N] -> float [T, N]."""
    return tf.squeeze(tf.matmul(weights[:, tf.newaxis], features), 1)


def log_sum_exp(
    query: tf.Tensor,
    candidates: tf.Tensor,
    blocked: tf.Tensor,
    own: OwnFeatures | None = None,
    kept: int = KEPT,
    block: int = BLOCK,
) -> tf.Tensor:
    """The logarithm of the sum of exp(query . candidate) over the candidates that are not blocked in the row.

    Up to `kept` scores are made once. More are made in blocks of candidates, so that memory does not grow with T x N:
    the forward pass keeps a running maximum and sum (Milakov and Gimelshein, "Online normalizer calculation for
    softmax", 2018), and the backward pass makes every block again (Dao et al., "FlashAttention", 2022): four products
    of matrices instead of three.

    Args:
        query: float [T, E].
        candidates: float [N, E].
        blocked: int64 [T, M], the candidates that do not count in each row; outside [0, N): padding.
        own: what the scores get besides.
        kept: the most scores that are kept.
        block: about how many scores are made at a time where there are more.

    Returns:
        float [T]; `NONE` and without a gradient where no candidate counts.
    """

    @tf.custom_gradient
    def result(query: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, _Gradient]:
        scores = _Scores(query, candidates, blocked, _Addition(weights, own))
        rows = tf.shape(query, tf.int64)[0]
        fits = rows * scores.count <= kept
        width = 1 + block // tf.maximum(rows, 1)
        log_sum, *made = tf.cond(fits, scores.whole, lambda: scores.in_blocks(width))

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return tf.cond(
                fits,
                lambda: scores.whole_gradient(upstream, *made),
                lambda: scores.gradient_in_blocks(upstream, log_sum, width),
            )

        return log_sum, gradient

    return result(query, candidates, tf.zeros_like(query[:, :0]) if own is None else own.weights)


class _Addition:
    """What `OwnFeatures` add to the scores [T, N], or nothing.

    Attributes:
        weights: float [T, W]; W is 0 where there is nothing to add.
    """

    def __init__(self, weights: tf.Tensor, own: OwnFeatures | None) -> None:
        self.weights = weights
        self._own = own

    def features(self, first: _Place, last: _Place) -> tf.Tensor:
        """Of a block of candidates: float [T, W, n]."""
        return tf.zeros([0, 0, 0]) if self._own is None else self._own.features(first, last)

    def terms(self, features: tf.Tensor) -> list[tf.Tensor]:
        """What is added to the block's scores: none or one [T, n]."""
        return [] if self._own is None else [weighed_features(self.weights, features)]

    def gradient(self, by_score: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
        """The gradient by the weights [T, W], of those by the block's scores [T, n]."""
        if self._own is None:
            return tf.zeros_like(self.weights)
        return tf.linalg.matvec(features, by_score)


class _Scores:
    """The scores query . candidate + addition [T, N], whole or in blocks of candidates.

    A row's factor (the greatest score, the gradient from above) meets the small matrices where it can, not the scores.

    Attributes:
        count: N.
    """

    def __init__(self, query: tf.Tensor, candidates: tf.Tensor, blocked: tf.Tensor, addition: _Addition) -> None:
        self.count = tf.shape(candidates, tf.int64)[0]
        self._query = query
        self._candidates = candidates
        self._addition = addition
        place = tf.where((blocked >= 0) & (blocked < self.count))
        self._cells = _Cells(place[:, 0], tf.gather_nd(blocked, place))

    def whole(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The logarithm of the sums [T], the exponentials up to a factor of the row [T, N], and the features."""
        features = self._addition.features(0, self.count)
        scores = tf.matmul(self._query, self._candidates, transpose_b=True)
        scores = _masked([scores, *self._addition.terms(features)], self._cells)
        most = tf.maximum(tf.reduce_max(scores, axis=1), NONE)
        exponentials = tf.exp(scores - most[:, tf.newaxis])
        return most + _log(tf.reduce_sum(exponentials, axis=1)), exponentials, features

    def whole_gradient(
        self, upstream: tf.Tensor, exponentials: tf.Tensor, features: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The gradients by query [T, E], candidates [N, E] and weights [T, W]."""
        factor = tf.math.divide_no_nan(upstream, tf.reduce_sum(exponentials, axis=1))[:, tf.newaxis]
        by_candidates = tf.matmul(exponentials, factor * self._query, transpose_a=True)
        by_weights = factor * self._addition.gradient(exponentials, features)
        return factor * tf.matmul(exponentials, self._candidates), by_candidates, by_weights

    def in_blocks(self, width: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """As `whole`, without exponentials and features."""
        cells = self._cells.sorted()

        def add(start: tf.Tensor, most: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            scores = tf.matmul(self._query, self._candidates[start : start + width], transpose_b=True)
            terms = self._addition.terms(self._features_of(start, width))
            scores = _masked([scores, *terms], cells.between(start, width))
            higher = tf.maximum(most, tf.reduce_max(scores, axis=1))
            added = tf.reduce_sum(tf.exp(scores - higher[:, tf.newaxis]), axis=1)
            return start + width, higher, total * tf.exp(most - higher) + added

        rows = tf.shape(self._query)[:1]
        begin = (tf.constant(0, tf.int64), tf.fill(rows, NONE), tf.zeros(rows))
        _, most, total = tf.while_loop(lambda start, *_: start < self.count, add, begin, parallel_iterations=1)
        return most + _log(total), tf.zeros([0, 0]), tf.zeros([0, 0, 0])

    def gradient_in_blocks(
        self, upstream: tf.Tensor, log_sum: tf.Tensor, width: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """As `whole_gradient`."""
        cells = self._cells.sorted()
        factor = upstream[:, tf.newaxis]
        query = factor * self._query
        # Two more factors of the product lower every score by its row's logarithm of the sum.
        lowered = tf.concat([self._query, -log_sum[:, tf.newaxis]], axis=1)

        def add(
            number: tf.Tensor, by_query: tf.Tensor, by_weights: tf.Tensor, parts: tf.TensorArray
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.TensorArray]:
            start = tf.cast(number, tf.int64) * width
            part, features = self._candidates[start : start + width], self._features_of(start, width)
            scores = tf.matmul(lowered, tf.pad(part, [[0, 0], [0, 1]], constant_values=1), transpose_b=True)
            shares = tf.exp(_masked([scores, *self._addition.terms(features)], cells.between(start, width)))
            parts = parts.write(number, tf.matmul(shares, query, transpose_a=True))
            by_weights += self._addition.gradient(shares, features)
            return number + 1, by_query + tf.matmul(shares, part), by_weights, parts

        blocks = tf.maximum(1, tf.cast((self.count + width - 1) // width, tf.int32))
        parts = tf.TensorArray(tf.float32, blocks, infer_shape=False, element_shape=[None, self._query.shape[1]])
        begin = (tf.constant(0), tf.zeros_like(self._query), tf.zeros_like(self._addition.weights), parts)
        _, by_query, by_weights, parts = tf.while_loop(
            lambda number, *_: number < blocks, add, begin, parallel_iterations=1
        )
        return factor * by_query, parts.concat(), factor * by_weights

    def _features_of(self, start: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
        return self._addition.features(start, tf.minimum(start + width, self.count))


class _Cells(NamedTuple):
    """The blocked cells of a matrix: int64 [C] each."""

    row: tf.Tensor
    column: tf.Tensor

    def sorted(self) -> "_Cells":
        """By column."""
        order = tf.argsort(self.column)
        return _Cells(tf.gather(self.row, order), tf.gather(self.column, order))

    def between(self, start: tf.Tensor, width: tf.Tensor) -> "_Cells":
        """Those of the columns from `start` on, `width` at most, of sorted ones; `start` is column 0 then."""
        first, last = tf.unstack(tf.searchsorted(self.column, tf.stack([start, start + width])))
        return _Cells(self.row[first:last], self.column[first:last] - start)


def _masked(terms: list[tf.Tensor], cells: _Cells) -> tf.Tensor:
    """The sum of the terms [T, N] with `BLOCKED` added to the cells."""
    shape = tf.shape(terms[0], tf.int64)
    # To add a mask takes a fraction of the time of an update of the scores in place (`tensor_scatter_nd_update`).
    mask = tf.raw_ops.SparseToDense(
        sparse_indices=cells.row * shape[1] + cells.column,
        output_shape=tf.reduce_prod(shape, keepdims=True),
        sparse_values=BLOCKED,
        default_value=0.0,
        validate_indices=False,
    )
    return tf.add_n([*terms, tf.reshape(mask, shape)])  # one pass over all of them


def _log(total: tf.Tensor) -> tf.Tensor:
    """The logarithm of a sum of which one term is 1, or of nothing: 0 then."""
    return tf.math.log(tf.where(total > 0, total, 1))
