import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.export.index import packing


def test_three_scores_are_the_digits_of_one_product():
    items = np.array([[[1, -2], [3, 0], [-4, 5]]], np.float32)
    query = tf.constant([[6.0], [-7.0]])
    products = tf.matmul(packing.pack(items), query)
    assert [s.numpy().item() for s in packing.unpack(products)] == [20, 18, -59]
    assert packing.unpack_bytes(products).numpy().tolist() == [[[148, 146, 69, 0]]]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 100), st.integers(0, 2**32 - 1))
def test_scores_do_not_spill_into_their_neighbours(dimension, seed):
    generator = np.random.default_rng(seed)
    vectors = generator.standard_normal((30, dimension)).astype(np.float32)
    integers = packing.quantise(vectors, np.linalg.norm(vectors, axis=1), packing.EVEN)
    query = tf.constant(generator.standard_normal((1, dimension)), tf.float32)
    rounded, _ = packing.quantise_query(query, packing.query_length(packing.longest(integers), dimension))
    scores = tf.matmul(packing.pack(integers.reshape(10, 3, dimension)), rounded, transpose_b=True)
    expected = (integers @ rounded.numpy().T).reshape(10, 3)
    np.testing.assert_array_equal(np.stack(packing.unpack(scores), axis=2)[:, 0], expected)


def test_scales_leave_products_as_they_are_and_spread_both_sides_alike():
    vectors, queries = np.array([[4, 1e-3], [4, -1e-3]], np.float32), np.array([[1, 9]], np.float32)
    scales = packing.Scales.of(vectors, queries)
    np.testing.assert_allclose(scales.item * scales.query, 1, rtol=1e-6)
    np.testing.assert_allclose(scales.item[0] * 4, scales.query[0] * 1, rtol=1e-6)


def test_dimensions_without_spread_are_no_division_by_zero():
    scales = packing.Scales.of(np.array([[1, 0]], np.float32), np.zeros((0, 2), np.float32))
    assert np.isfinite([scales.item, scales.query]).all()
    assert not packing.quantise(np.zeros((1, 2), np.float32), np.zeros(1, np.float32), packing.FINE).any()


def test_a_split_query_is_closer_than_a_rounded_one():
    query = tf.constant(np.random.default_rng(0).standard_normal((1, 64)), tf.float32)
    items = np.eye(64, dtype=np.float32)
    rounded, step = packing.quantise_query(query, 4.0)
    split, fine_step = packing.split_query(query, 4.0)
    joined = packing.join_scores(tf.matmul(items, split, transpose_b=True)) * fine_step
    error = tf.reduce_max(tf.abs(joined - query))
    assert error <= fine_step / 8 + 1e-6
    assert error < tf.reduce_max(tf.abs(rounded * step - query)) / 3


def test_a_query_of_zeros_scores_nothing():
    assert packing.quantise_query(tf.zeros([1, 3]), 10.0)[0].numpy().tolist() == [[0, 0, 0]]
    assert packing.longest(np.zeros((2, 3), np.float32)) == 1
