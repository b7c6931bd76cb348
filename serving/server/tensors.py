"""TensorProto to NumPy and back, with a bound on what a few bytes may grow to.

A TensorProto may hold fewer values than its shape has elements: the last one is repeated. A message of 52 bytes can so
ask for millions of elements, hence `MAX_ELEMENTS`, which is looked at before memory is taken.
"""

from math import prod
from typing import Any, Final

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from serving.server.errors import ServingError, invalid_argument

MAX_ELEMENTS: Final = 1 << 18
"""Elements of one input at most: 2 MB of numbers, and some 10 MB of strings."""
_MAX_REPEATED_BYTES: Final = 4 << 20

_FIELDS: Final[dict[int, str]] = {
    types_pb2.DT_FLOAT: "float_val",
    types_pb2.DT_DOUBLE: "double_val",
    types_pb2.DT_INT8: "int_val",
    types_pb2.DT_INT16: "int_val",
    types_pb2.DT_INT32: "int_val",
    types_pb2.DT_UINT8: "int_val",
    types_pb2.DT_UINT16: "int_val",
    types_pb2.DT_INT64: "int64_val",
    types_pb2.DT_UINT32: "uint32_val",
    types_pb2.DT_UINT64: "uint64_val",
    types_pb2.DT_BOOL: "bool_val",
    types_pb2.DT_STRING: "string_val",
}
_DTYPES: Final = {number: np.dtype(tf.as_dtype(number).as_numpy_dtype) for number in _FIELDS}
_NUMBERS: Final = {dtype: number for number, dtype in _DTYPES.items()}


def to_array(proto: tensor_pb2.TensorProto, name: str) -> np.ndarray:
    """Returns the tensor as an array of its dtype and shape, strings as objects of bytes.

    Args:
      proto: The tensor, its values in the typed field or, numbers, in `tensor_content`.
      name: The input's name, for the message.

    Raises:
      ServingError: INVALID_ARGUMENT when the proto holds no such tensor, or one of more than `MAX_ELEMENTS`.
    """
    dtype = _DTYPES.get(proto.dtype)
    if dtype is None:
        raise invalid_argument(f"input {name!r}: the dtype {_dtype_name(proto.dtype)} is not served")
    shape = _shape(proto, name)
    size = prod(shape)
    if proto.tensor_content:
        if dtype.hasobject or len(proto.tensor_content) != size * dtype.itemsize:
            raise invalid_argument(f"input {name!r}: `tensor_content` does not hold {dtype} of shape {list(shape)}")
        return np.frombuffer(proto.tensor_content, dtype).reshape(shape)
    field = getattr(proto, _FIELDS[proto.dtype])
    if len(field) > size:
        raise invalid_argument(f"input {name!r}: the shape {list(shape)} has {size} elements. Received: {len(field)}")
    if dtype.hasobject:
        values = np.array(field[:], object)
    else:
        try:
            values = np.fromiter(field, dtype, len(field))
        except OverflowError as error:
            raise invalid_argument(f"input {name!r}: a value is out of the range of {dtype}") from error
    if len(values) < size:
        values = np.concatenate([values, _repeated(values, size - len(values), name)])
    return values.reshape(shape)


def fill_proto(array: np.ndarray, proto: tensor_pb2.TensorProto) -> None:
    """Writes `array` into an empty `proto`, values in the typed field as TensorFlow Serving does."""
    proto.dtype = _NUMBERS[array.dtype]
    proto.tensor_shape.SetInParent()  # of a scalar there is no dimension, and the shape would be left out
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    getattr(proto, _FIELDS[proto.dtype]).extend(array.reshape(-1).tolist())


def is_served(array: np.ndarray) -> bool:
    """Returns whether `fill_proto` takes an array of this dtype."""
    return array.dtype in _NUMBERS


def check_size(shape: tuple[int, ...], name: str) -> None:
    """Raises `ServingError` (INVALID_ARGUMENT) for a tensor of more than `MAX_ELEMENTS`."""
    if prod(shape) > MAX_ELEMENTS:
        raise invalid_argument(f"input {name!r}: at most {MAX_ELEMENTS:,} elements are served. Received: {list(shape)}")


def _shape(proto: tensor_pb2.TensorProto, name: str) -> tuple[int, ...]:
    shape = tuple([dim.size for dim in proto.tensor_shape.dim])
    if min(shape, default=0) < 0:
        raise invalid_argument(f"input {name!r}: a dimension should not be negative. Received: {list(shape)}")
    if len(shape) > 8:
        raise invalid_argument(f"input {name!r}: at most 8 dimensions are served. Received: {len(shape)}")
    check_size(shape, name)
    return shape


def _repeated(values: np.ndarray, count: int, name: str) -> np.ndarray:
    """The last value so many times; where there is none, zero or the empty string."""
    nothing: Any = b"" if values.dtype.hasobject else 0
    last = values[-1] if len(values) else nothing
    if values.dtype.hasobject and count * len(last) > _MAX_REPEATED_BYTES:
        raise invalid_argument(f"input {name!r}: holds {len(values)} strings, and its shape repeats the last too often")
    return np.full(count, last, values.dtype)


def _dtype_name(number: int) -> str:
    return types_pb2.DataType.Name(number) if number in types_pb2.DataType.values() else str(number)


def wrong_dtype(name: str, wanted: int, found: np.ndarray) -> ServingError:
    """Returns the error of an input whose dtype is not the signature's."""
    expected = tf.as_dtype(wanted).name
    received = "string" if found.dtype.hasobject else found.dtype.name
    return invalid_argument(f"input {name!r}: should be {expected}. Received: {received}")


def dtype_number(array: np.ndarray) -> int:
    """Returns the number that protos give an array's dtype, one that `to_array` returns."""
    return _NUMBERS[array.dtype]
