import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.losses.softmax import BLOCKED, NONE, Choices, Moments, OwnFeatures, weighted_log_sum

WHOLE, BLOCKS = {"rows": 1 << 20}, {"rows": 2}
in_one_or_more_blocks = pytest.mark.parametrize("options", [WHOLE, BLOCKS, {}], ids=["whole", "blocks", "default"])


def plain(query, own, candidates, weights, blocked, weight, moments):
    """By the definition, every step differentiated by TensorFlow."""
    scores = tf.matmul(query, candidates, transpose_b=True)
    scores += tf.einsum("tw,twn->tn", weights, tf.gather(moments.features, moments.row))
    is_blocked = tf.reduce_any(blocked[:, :, tf.newaxis] == tf.range(scores.shape[1], dtype=tf.int64), axis=1)
    scores = tf.concat([tf.where(is_blocked, BLOCKED, scores), own], axis=1)
    log_sum = tf.where(tf.reduce_all(scores < NONE, axis=1), NONE, tf.reduce_logsumexp(scores, axis=1))
    return tf.reduce_sum(weight * log_sum)


def blockwise(**options):
    def function(query, own, candidates, weights, blocked, weight, moments):
        features = OwnFeatures(weights, moments) if weights.shape[1] else None
        return weighted_log_sum(query, Choices(own, candidates, blocked), weight, features, **options)

    return function


def with_gradients(function, inputs, *others, scale=1.0):
    """The sum and its gradients by queries, own scores, candidates and weights of features."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        total = scale * function(*inputs, *others)
    found = [total, *tape.gradient(total, inputs, unconnected_gradients="zero")]
    return [values.numpy() for values in found]


def draw(seed, rows, count, scale=1.0, blocked=3, own=2, features=2):
    rng = np.random.default_rng(seed)
    shapes = [rows, 3], [rows, own], [count, 3], [rows, features]
    inputs = [tf.constant(rng.normal(size=shape), tf.float32) for shape in shapes]
    inputs[0] *= scale
    moments = Moments(tf.constant(rng.normal(size=[4, features, count]), tf.float32), rng.integers(0, 4, rows))
    weight = tf.constant(rng.random(rows) * (rng.random(rows) < 0.7), tf.float32)
    return inputs, tf.constant(rng.integers(0, count + 2, [rows, blocked])), weight, moments


def check_equal(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-5)


@in_one_or_more_blocks
@pytest.mark.parametrize("features", [0, 2])
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 99), st.integers(1, 5), st.integers(1, 20), st.sampled_from([0.1, 3.0]), st.integers(0, 6))
def test_value_and_gradients_are_those_of_the_definition(features, options, seed, rows, count, scale, blocked):
    inputs, *others = draw(seed, rows, count, scale, blocked, features=features)
    expected = with_gradients(plain, inputs, *others, scale=-0.5)
    check_equal(with_gradients(blockwise(**options), inputs, *others, scale=-0.5), expected)


def small(query, candidates, blocked=(), own=None):
    """Rows of weight 1 without features; no own candidates where none are given."""
    query, candidates = (tf.constant(values, tf.float32) for values in (query, candidates))
    rows = query.shape[0]
    blocked = tf.constant(np.reshape(np.array(blocked, np.int64), [rows, -1]))
    own = tf.fill([rows, 1], BLOCKED) if own is None else tf.constant(own, tf.float32)
    nothing = Moments(tf.zeros([1, 0, candidates.shape[0]]), tf.zeros([rows], tf.int64))
    return [query, own, candidates, tf.zeros([rows, 0])], blocked, tf.ones([rows]), nothing


@in_one_or_more_blocks
def test_scores_that_overflow_alone_do_not_together(options):
    inputs = small([[1.0], [-1.0], [1.0]], [[500.0], [499.0], [-300.0]])
    total, _, _, by_candidates, _ = with_gradients(blockwise(**options), *inputs)
    np.testing.assert_allclose(total, 2 * (500 + np.log1p(np.exp(-1))) + 300, rtol=1e-6)
    share = 1 / (1 + np.exp(-1))
    np.testing.assert_allclose(by_candidates[:, 0], [2 * share, 2 * (1 - share), -1], rtol=1e-5)


@in_one_or_more_blocks
def test_a_blocked_giant_leaves_no_trace(options):
    total, _, _, by_candidates, _ = with_gradients(
        blockwise(**options), *small([[1.0]], [[90.0], [-20.0], [-21.0]], blocked=[0])
    )
    np.testing.assert_allclose(total, -20 + np.log1p(np.exp(-1)), rtol=1e-6)
    assert by_candidates[0, 0] == 0


@in_one_or_more_blocks
def test_own_candidates_alone_are_enough(options):
    inputs = small(np.ones([2, 3]), np.zeros([0, 3]), own=[[1.0, 2.0], [3.0, BLOCKED]])
    total, by_query, by_own, by_candidates, _ = with_gradients(blockwise(**options), *inputs)
    assert total == pytest.approx(np.logaddexp(1, 2) + 3)
    share = 1 / (1 + np.e)
    np.testing.assert_allclose(by_own, [[share, 1 - share], [1, 0]], rtol=1e-5)
    assert (by_query == 0).all()
    assert by_candidates.shape == (0, 3)


@in_one_or_more_blocks
def test_no_row_adds_nothing(options):
    inputs, *others = draw(0, 0, 9)
    total, *gradients = with_gradients(blockwise(**options), inputs, *others)
    assert total == 0
    assert not any(gradient.any() for gradient in gradients)


@in_one_or_more_blocks
def test_a_row_without_candidates_has_no_gradient(options):
    total, *gradients = with_gradients(blockwise(**options), *small(np.ones([1, 2]), np.ones([3, 2]), [0, 1, 2]))
    assert total == NONE
    assert not any(gradient.any() for gradient in gradients)


def test_it_runs_in_a_graph_of_unknown_shapes():
    @tf.function(reduce_retracing=True)
    def function(*inputs):
        *inputs, blocked, weight, features, row = inputs
        total = blockwise(rows=2)(*inputs, blocked, weight, Moments(features, row))
        return [total, *tf.gradients(total, inputs)]

    for rows, count in [(2, 7), (3, 40), (5, 9)]:
        inputs, blocked, weight, moments = draw(0, rows, count)
        expected = with_gradients(plain, inputs, blocked, weight, moments)
        check_equal(function(*inputs, blocked, weight, *moments), expected)
