import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tensorflow.core.framework import tensor_pb2

from serving.errors import ServingError
from serving.tensors import fill_proto, to_array

DTYPES = [tf.float32, tf.float64, tf.half, tf.bfloat16, tf.int8, tf.int16, tf.int32, tf.int64]
DTYPES += [tf.uint8, tf.uint16, tf.uint32, tf.uint64, tf.bool, tf.complex64, tf.complex128]


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
@pytest.mark.parametrize("as_content", [False, True])
@pytest.mark.parametrize("shape", [(), (0, 3), (4,), (2, 70)])
def test_numbers_there_and_back(dtype: tf.DType, as_content: bool, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype.as_numpy_dtype)
    proto = tensor_pb2.TensorProto()
    fill_proto(array, proto, as_content)
    assert bool(proto.tensor_content) == (as_content and array.size > 0)
    assert proto.HasField("tensor_shape")  # also a scalar's, as in TensorFlow Serving: Tensor::AsProtoField
    for back in (to_array(proto, "x"), tf.make_ndarray(proto)):
        assert back.dtype == array.dtype
        np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("as_content", [False, True])
def test_strings_there_and_back(as_content: bool) -> None:
    array = np.array([[b"a", b""], [b"\xff\x00", "ä".encode()]], object)
    proto = tensor_pb2.TensorProto()
    fill_proto(array, proto, as_content)
    np.testing.assert_array_equal(to_array(proto, "x"), array)
    read = tf.io.parse_tensor(proto.SerializeToString(), tf.string).numpy()
    np.testing.assert_array_equal(read, array)
    assert bool(proto.tensor_content) == as_content


@pytest.mark.parametrize("content", [b"\x01", b"\x01ab", b"\x80\x80\x80\x80\x80\x01a", b"\xff"])
def test_strings_that_are_not_what_their_sizes_say(content: bytes) -> None:
    proto = tf.make_tensor_proto([b"x"])
    proto.tensor_content = content
    with pytest.raises(ServingError, match="tensor parsing error: x"):
        to_array(proto, "x")


@settings(max_examples=50, deadline=None)
@given(arrays.arrays(np.float32, arrays.array_shapes(max_dims=3), elements=st.floats(width=32)))
def test_floats_keep_every_bit(array: np.ndarray) -> None:
    proto = tensor_pb2.TensorProto()
    fill_proto(array, proto)
    assert to_array(proto, "x").tobytes() == array.tobytes()


def test_fewer_values_are_filled_up_with_the_last_and_none_with_zero() -> None:
    proto = tf.make_tensor_proto([1.0])
    proto.tensor_shape.dim[0].size = 3
    proto.tensor_content = b""
    proto.float_val[:] = [1.0, 2.0]
    assert to_array(proto, "x").tolist() == [1.0, 2.0, 2.0]
    proto.float_val[:] = [1.0, 2.0, 3.0, 4.0]
    assert to_array(proto, "x").tolist() == [1.0, 2.0, 3.0]
    del proto.float_val[:]
    assert to_array(proto, "x").tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    "change",
    [
        lambda p: setattr(p, "dtype", 0),
        lambda p: setattr(p, "dtype", 9999),
        lambda p: setattr(p, "dtype", int(tf.resource.as_datatype_enum)),
        lambda p: setattr(p.tensor_shape.dim[0], "size", -1),
        lambda p: setattr(p.tensor_shape.dim[0], "size", 1 << 60),
        lambda p: setattr(p, "tensor_content", b"12345"),
    ],
)
def test_malformed_tensors_are_the_callers_error(change: object) -> None:
    proto = tensor_pb2.TensorProto(dtype=1, float_val=[1.0, 2.0])
    proto.tensor_shape.dim.add(size=2)
    change(proto)  # type: ignore[operator]
    with pytest.raises(ServingError, match="tensor parsing error: scores") as raised:
        to_array(proto, "scores")
    assert raised.value.code.name == "INVALID_ARGUMENT"
