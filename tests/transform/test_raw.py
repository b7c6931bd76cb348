import pytest
import tensorflow as tf

from transform.raw import RawExamples


def sparse(rows: list[list]) -> tf.SparseTensor:
    return tf.ragged.constant(rows, ragged_rank=1).to_sparse()


def test_integers_of_a_categorical_feature_read_as_decimal_text() -> None:
    raw = RawExamples({"user_zip": sparse([[7], [12, 3]])})
    assert raw.strings("user_zip").values.numpy().tolist() == [b"7", b"12", b"3"]


def test_a_lacking_feature_is_empty_in_every_row() -> None:
    raw = RawExamples({"user_zip": sparse([[7], [12, 3]])})
    for lacking, dtype in ((raw.strings("a"), tf.string), (raw.integers("b"), tf.int64), (raw.floats("c"), tf.float32)):
        assert lacking.dtype == dtype
        assert tf.io.deserialize_many_sparse(tf.io.serialize_many_sparse(lacking), dtype).shape[0] == 2


def test_a_flag_is_found_at_the_place_of_each_value() -> None:
    raw = RawExamples({"is_target": sparse([[0, 1], [1], []])})
    values = sparse([["a", "b", "c"], ["d"], ["e"]])
    assert raw.flag("is_target", values).numpy().tolist() == [False, True, False, True, False]
    assert raw.targets_per_row().numpy().tolist() == [1, 1, 0]


def test_a_fixed_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"variable length only.*Received: user_id"):
        RawExamples({"user_id": tf.constant(["a"]), "item_id": sparse([["b"]])})


def test_text_where_numbers_belong_is_refused() -> None:
    raw = RawExamples({"user_age": sparse([["old"]])})
    with pytest.raises(ValueError, match=r"`user_age` should be INT or FLOAT in the schema\. Received: BYTES"):
        raw.floats("user_age")
