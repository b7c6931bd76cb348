import numpy as np
import tensorflow as tf

from tests.trainer.served import serialized

GENRES = {b"drama", b"noir", b"war"}


def test_interests_are_the_most_probable_classes(call):
    found = call("interests", examples=serialized({"user_id": ["u0"], "item_id": ["i1", "i2"], "k": [50]}))
    assert set(found) == {"taste", "taste_probability"}
    assert set(found["taste"][0].tolist()) == GENRES
    assert (np.diff(found["taste_probability"][0]) <= 0).all()
    np.testing.assert_allclose(found["taste_probability"].sum(), 1, rtol=1e-5)


def test_every_request_gets_as_many_as_it_asked_for(call):
    one = {"user_id": ["u0"], "item_id": ["i1"]}
    whole, two = (call("interests", examples=serialized(one | {"k": [k]})) for k in (3, 2))
    both = call("interests", examples=serialized(one | {"k": [2]}, one | {"k": [1]}))
    assert both["taste"].tolist() == [two["taste"][0].tolist(), [whole["taste"][0, 0], b""]]
    np.testing.assert_allclose(both["taste_probability"][0], whole["taste_probability"][0, :2], rtol=1e-5)
    assert both["taste_probability"][1, 1] == 0


def test_nobody_and_nothing_are_answered(call):
    assert set(call("interests", examples=serialized({}))["taste"][0].tolist()) == GENRES
    assert call("interests", examples=tf.constant([], tf.string))["taste"].shape[0] == 0
