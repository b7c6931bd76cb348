from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from serving.server.errors import ServingError
from serving.server.tensors import MAX_ELEMENTS, fill_proto, to_array

ARRAYS = [
    np.array([[1.5, -2.0]], np.float32),
    np.array([0.1], np.float64),
    np.array([1 << 40, -1], np.int64),
    np.array([-5, 7], np.int32),
    np.array([-5, 7], np.int8),
    np.array([255], np.uint8),
    np.array([1 << 31], np.uint32),
    np.array([1 << 63], np.uint64),
    np.array([True, False]),
    np.array([[b"\xff", b""]], object),
    np.array(3, np.int32),
    np.zeros([0, 4], np.float32),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_arrays_survive_the_way_there_and_back(array: np.ndarray) -> None:
    written = tensor_pb2.TensorProto()
    fill_proto(array, written)
    for proto in (written, tf.make_tensor_proto(array)):
        found = to_array(proto, "x")
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found, array)
    np.testing.assert_array_equal(tf.make_ndarray(written), array)


def proto(dtype: int, shape: list[int], **values: Any) -> tensor_pb2.TensorProto:
    made = tensor_pb2.TensorProto(dtype=dtype, **values)
    for size in shape:
        made.tensor_shape.dim.add(size=size)
    return made


def test_fewer_values_than_elements_repeat_the_last_one() -> None:
    found = to_array(proto(types_pb2.DT_FLOAT, [2, 2], float_val=[1.0, 4.0]), "x")
    np.testing.assert_array_equal(found, [[1.0, 4.0], [4.0, 4.0]])
    assert to_array(proto(types_pb2.DT_STRING, [2]), "x").tolist() == [b"", b""]


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (proto(types_pb2.DT_STRING, [2_000_000], string_val=[b""]), "at most 262,144 elements are served"),
        (proto(types_pb2.DT_STRING, [2, 100_000], string_val=[b"x" * 5000]), "repeats the last too often"),
        (proto(types_pb2.DT_FLOAT, [1 << 40, 1 << 40]), "at most 262,144 elements are served"),
        (proto(types_pb2.DT_FLOAT, [-1]), "a dimension should not be negative"),
        (proto(types_pb2.DT_FLOAT, [1] * 9, float_val=[1.0]), "at most 8 dimensions"),
        (proto(types_pb2.DT_FLOAT, [1], float_val=[1.0, 2.0]), r"the shape \[1\] has 1 elements. Received: 2"),
        (proto(types_pb2.DT_FLOAT, [2], tensor_content=b"1234567"), "does not hold float32 of shape"),
        (proto(types_pb2.DT_STRING, [1], tensor_content=b"\0"), "does not hold object of shape"),
        (proto(types_pb2.DT_INT8, [1], int_val=[1000]), "a value is out of the range of int8"),
        (proto(types_pb2.DT_RESOURCE, [1]), "the dtype DT_RESOURCE is not served"),
        (proto(99, [1]), "the dtype 99 is not served"),
    ],
)
def test_what_is_no_tensor_is_named(tensor: tensor_pb2.TensorProto, message: str) -> None:
    with pytest.raises(ServingError, match=message) as raised:
        to_array(tensor, "x")
    assert raised.value.code.name == "INVALID_ARGUMENT"
    assert raised.value.message.startswith("input 'x': ")
    assert MAX_ELEMENTS == 262_144
