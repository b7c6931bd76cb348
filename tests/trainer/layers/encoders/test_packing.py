import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trainer.layers.encoders.packing import EndPacking, Packing

VISIBLE = tf.constant([[False, True, False, True], [False, False, True, False], [False] * 4])


def test_visible_events_come_first_in_their_order():
    packing = Packing.of(VISIBLE)
    packed = packing.pack(tf.constant([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]))
    assert packed.numpy().tolist() == [[2, 4], [7, 5], [9, 10]]


def test_a_state_lasts_until_the_next_visible_event():
    states = tf.constant([[[1.0], [2.0]], [[3.0], [4.0]], [[5.0], [6.0]]])
    found = Packing.of(VISIBLE).unpack(states)[..., 0]
    assert found.numpy().tolist() == [[0, 1, 1, 2], [0, 0, 3, 3], [0, 0, 0, 0]]


def test_nothing_visible_keeps_one_place():
    assert Packing.of(tf.zeros([2, 3], tf.bool)).pack(tf.zeros([2, 3, 5])).shape == (2, 1, 5)


@settings(max_examples=30, deadline=None)
@given(hnp.arrays(bool, st.tuples(st.integers(0, 4), st.integers(1, 9))))
def test_unpacking_finds_the_newest_visible_event(visible):
    position = np.arange(visible.shape[1])
    packing = Packing.of(tf.constant(visible))
    found = packing.unpack(packing.pack(tf.tile(position[np.newaxis, :, np.newaxis] + 1.0, [len(visible), 1, 1])))
    newest = np.maximum.accumulate(np.where(visible, position + 1, 0), axis=1)
    np.testing.assert_array_equal(found[..., 0], newest)


def test_counted_events_go_to_the_end_in_their_order():
    packing = EndPacking.of(VISIBLE)
    packed = packing.pack(tf.constant([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]))
    assert packed.numpy().tolist() == [[1, 3, 2, 4], [5, 6, 8, 7], [9, 10, 11, 12]]
    states = tf.constant([[[0.0], [0.0], [1.0], [2.0]], [[0.0], [0.0], [0.0], [3.0]], [[0.0]] * 4])
    assert packing.unpack(states)[..., 0].numpy().tolist() == [[0, 1, 1, 2], [0, 0, 3, 3], [0, 0, 0, 0]]


def test_packing_to_the_end_leaves_padded_rows_as_they_are():
    mask = tf.constant([[False, True, True], [True, True, True]])
    values = tf.reshape(tf.range(1.0, 13), [2, 3, 2])
    packing = EndPacking.of(mask)
    np.testing.assert_array_equal(packing.pack(values), values)
    np.testing.assert_array_equal(packing.unpack(values)[1], values[1])
