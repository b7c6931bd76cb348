import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.softmax import BLOCKED, NONE, OwnFeatures, log_sum_exp

WHOLE = {"kept": 1 << 40}
BLOCKS = {"kept": -1, "block": 12}


def plain(query, candidates, blocked, added=0.0):
    """By the definition, every step differentiated by TensorFlow."""
    scores = tf.matmul(query, candidates, transpose_b=True) + added
    is_blocked = tf.reduce_any(blocked[:, :, tf.newaxis] == tf.range(scores.shape[1], dtype=tf.int64), axis=1)
    scores = tf.where(is_blocked, BLOCKED, scores)
    return tf.where(tf.reduce_all(is_blocked, axis=1), NONE, tf.reduce_logsumexp(scores, axis=1))


def with_gradients(function, query, candidates, blocked, upstream, **options):
    with tf.GradientTape() as tape:
        tape.watch([query, candidates])
        result = function(query, candidates, blocked, **options)
        total = tf.reduce_sum(result * upstream)
    return [result.numpy(), *(g.numpy() for g in tape.gradient(total, [query, candidates]))]


def draw(seed, rows, count, width, scale=1.0, blocked=3):
    rng = np.random.default_rng(seed)
    arrays = (rng.normal(size=[rows, width]) * scale, rng.normal(size=[count, width]), rng.normal(size=[rows]))
    query, candidates, upstream = (tf.constant(a, tf.float32) for a in arrays)
    return query, candidates, tf.constant(rng.integers(0, count + 2, [rows, blocked]), tf.int64), upstream


@pytest.mark.parametrize("options", [WHOLE, BLOCKS], ids=["whole", "blocks"])
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 99), st.integers(1, 5), st.integers(1, 20), st.sampled_from([0.1, 3.0]), st.integers(0, 6))
def test_value_and_gradients_are_those_of_the_definition(options, seed, rows, count, scale, blocked):
    query, candidates, blocked, upstream = draw(seed, rows, count, 3, scale, blocked)
    expected = with_gradients(plain, query, candidates, blocked, upstream)
    found = with_gradients(log_sum_exp, query, candidates, blocked, upstream, **options)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("options", [WHOLE, BLOCKS], ids=["whole", "blocks"])
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 99), st.integers(1, 5), st.integers(1, 20))
def test_features_of_rows_and_candidates_are_a_part_of_the_scores(options, seed, rows, count):
    query, candidates, blocked, upstream = draw(seed, rows, count, 3)
    rng = np.random.default_rng(seed + 100)
    features = tf.constant(rng.normal(size=[rows, 2, count]), tf.float32)
    weights = tf.constant(rng.normal(size=[rows, 2]), tf.float32)

    def whole(query, candidates, blocked, weights):
        return plain(query, candidates, blocked, tf.einsum("tw,twn->tn", weights, features))

    def split(query, candidates, blocked, weights):
        own = OwnFeatures(weights, lambda first, last: features[..., first:last])
        return log_sum_exp(query, candidates, blocked, own, **options)

    expected, found = (gradients(f, query, candidates, blocked, weights, upstream) for f in (whole, split))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def gradients(function, query, candidates, blocked, weights, upstream):
    with tf.GradientTape() as tape:
        tape.watch([query, candidates, weights])
        result = function(query, candidates, blocked, weights)
        total = tf.reduce_sum(result * upstream)
    return [result.numpy(), *(g.numpy() for g in tape.gradient(total, [query, candidates, weights]))]


@pytest.mark.parametrize("options", [WHOLE, BLOCKS], ids=["whole", "blocks"])
def test_scores_that_overflow_alone_do_not_together(options):
    query, candidates = tf.constant([[1.0], [-1.0]]), tf.constant([[500.0], [499.0], [-300.0]])
    nothing = tf.zeros([2, 0], tf.int64)
    found = with_gradients(log_sum_exp, query, candidates, nothing, tf.ones([2]), **options)
    np.testing.assert_allclose(found[0], [500 + np.log1p(np.exp(-1)), 300], rtol=1e-6)
    share = 1 / (1 + np.exp(-1))
    np.testing.assert_allclose(found[2][:, 0], [share, 1 - share, -1], rtol=1e-5)


@pytest.mark.parametrize("options", [WHOLE, BLOCKS], ids=["whole", "blocks"])
def test_a_blocked_giant_leaves_no_trace(options):
    query, candidates = tf.constant([[1.0]]), tf.constant([[90.0], [-20.0], [-21.0]])
    found = with_gradients(log_sum_exp, query, candidates, tf.constant([[0]], tf.int64), tf.ones([1]), **options)
    np.testing.assert_allclose(found[0], [-20 + np.log1p(np.exp(-1))], rtol=1e-6)
    assert found[2][0, 0] == 0


@pytest.mark.parametrize("options", [WHOLE, BLOCKS], ids=["whole", "blocks"])
def test_rows_and_candidates_may_be_missing(options):
    nothing = tf.zeros([2, 0], tf.int64)
    found = with_gradients(log_sum_exp, tf.ones([2, 3]), tf.zeros([0, 3]), nothing, tf.ones([2]), **options)
    assert found[0].tolist() == [NONE, NONE]
    assert (found[1] == 0).all()
    assert found[2].shape == (0, 3)
    found = with_gradients(log_sum_exp, tf.zeros([0, 3]), tf.ones([9, 3]), nothing[:0], tf.zeros([0]), **options)
    assert found[0].shape == (0,)
    assert (found[2] == 0).all()


@pytest.mark.parametrize("options", [WHOLE, BLOCKS], ids=["whole", "blocks"])
def test_a_row_without_candidates_has_no_gradient(options):
    query, candidates = tf.ones([1, 2]), tf.ones([3, 2])
    found = with_gradients(log_sum_exp, query, candidates, tf.constant([[0, 1, 2]], tf.int64), tf.ones([1]), **options)
    assert found[0].tolist() == [NONE]
    assert (found[1] == 0).all()
    assert (found[2] == 0).all()


def test_it_runs_in_a_graph_of_unknown_shapes():
    function = tf.function(
        lambda *inputs: with_gradients_in_graph(*inputs),
        input_signature=[tf.TensorSpec([None, 3]), tf.TensorSpec([None, 3]), tf.TensorSpec([None, None], tf.int64)],
    )
    for rows, count in [(2, 7), (3, 40)]:
        query, candidates, blocked, _ = draw(0, rows, count, 3)
        expected = with_gradients(plain, query, candidates, blocked, tf.ones([rows]))
        for one, other in zip(function(query, candidates, blocked), expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def with_gradients_in_graph(query, candidates, blocked):
    """The first of the two inputs above is made whole, the second in blocks."""
    result = log_sum_exp(query, candidates, blocked, kept=100, block=30)
    return [result, *tf.gradients(tf.reduce_sum(result), [query, candidates])]
