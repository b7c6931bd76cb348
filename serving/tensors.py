"""TensorProto to NumPy and back, without a Python loop over the elements."""

from math import prod
from typing import Any, Final

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from serving import tensor_coding
from serving.errors import ServingError, invalid_argument

MAX_BYTES: Final = 1 << 30
"""A tensor that says it is larger is refused before memory is taken for it."""

_FIELDS: Final[dict[tf.DType, str]] = {
    tf.float32: "float_val",
    tf.float64: "double_val",
    tf.int8: "int_val",
    tf.int16: "int_val",
    tf.int32: "int_val",
    tf.uint8: "int_val",
    tf.uint16: "int_val",
    tf.int64: "int64_val",
    tf.uint32: "uint32_val",
    tf.uint64: "uint64_val",
    tf.bool: "bool_val",
    tf.string: "string_val",
    tf.half: "half_val",
    tf.bfloat16: "half_val",
    tf.complex64: "scomplex_val",
    tf.complex128: "dcomplex_val",
}
_STORED_AS: Final[dict[tf.DType, np.dtype]] = {  # the field elements' type where it is not the tensor's own
    tf.half: np.dtype(np.uint16),
    tf.bfloat16: np.dtype(np.uint16),
    tf.complex64: np.dtype(np.float32),
    tf.complex128: np.dtype(np.float64),
}
_FIXED_WIDTH: Final = frozenset({"float_val", "double_val", "scomplex_val", "dcomplex_val", "bool_val"})
"""Packed fields whose bytes on the wire are the array's own (little-endian) bytes."""


def to_array(proto: tensor_pb2.TensorProto, name: str) -> np.ndarray:
    """The tensor as an array: of its dtype and shape, strings as objects of bytes.

    As in TensorFlow, fewer values than the shape asks for are filled up with the last one. Raises `ServingError`
    (INVALID_ARGUMENT) naming `name`, the tensor's alias in the request, when the proto holds no such tensor.
    """
    dtype = _dtype(proto, name)
    shape = _shape(proto, dtype, name)
    if proto.tensor_content:
        return _from_content(proto.tensor_content, dtype, shape, name)
    stored = _STORED_AS.get(dtype, np.dtype(dtype.as_numpy_dtype))
    field = getattr(proto, _FIELDS[dtype])
    values = np.array(field[:], dtype=stored) if dtype == tf.string else np.fromiter(field, stored, len(field))
    values = _complete(values, prod(shape) * (2 if dtype.is_complex else 1))
    return (values.view(dtype.as_numpy_dtype) if dtype in _STORED_AS else values).reshape(shape)


def fill_proto(array: np.ndarray, proto: tensor_pb2.TensorProto, as_content: bool = False) -> None:
    """Writes `array` into an empty `proto`: into the typed fields, as TensorFlow Serving does, or `tensor_content`."""
    dtype = to_dtype(array)
    proto.dtype = dtype.as_datatype_enum
    dims = proto.tensor_shape.dim
    for size in array.shape:
        dims.add(size=size)
    if as_content:
        strings = dtype == tf.string
        proto.tensor_content = tensor_coding.joined(array.reshape(-1).tolist()) if strings else array.tobytes()
        return
    flat = np.ascontiguousarray(array).reshape(-1)
    _extend(proto, _FIELDS[dtype], flat.view(_STORED_AS[dtype]) if dtype in _STORED_AS else flat)


def to_dtype(array: np.ndarray) -> tf.DType:
    """The TensorFlow dtype of an array as sessions give them: objects are strings."""
    return tf.string if array.dtype == object else tf.as_dtype(array.dtype)


def type_name(dtype: tf.DType | int) -> str:
    """A dtype as TensorFlow's C++ messages call it: `float`, `double`, `int64`, `string`."""
    name: str = tf.as_dtype(dtype).name
    return {"float32": "float", "float64": "double", "float16": "half"}.get(name, name)


def _malformed(name: str) -> ServingError:
    return invalid_argument(f"tensor parsing error: {name}")


def _dtype(proto: tensor_pb2.TensorProto, name: str) -> tf.DType:
    try:
        dtype = tf.as_dtype(proto.dtype)
    except TypeError as error:
        raise _malformed(name) from error
    if dtype not in _FIELDS:
        raise _malformed(name)
    return dtype


def _shape(proto: tensor_pb2.TensorProto, dtype: tf.DType, name: str) -> tuple[int, ...]:
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise _malformed(name)
    if prod(shape) * max(np.dtype(dtype.as_numpy_dtype).itemsize, 1) > MAX_BYTES:
        raise _malformed(name)
    return shape


def _from_content(content: bytes, dtype: tf.DType, shape: tuple[int, ...], name: str) -> np.ndarray:
    if dtype == tf.string:
        return _strings(content, shape, name)
    if len(content) != prod(shape) * np.dtype(dtype.as_numpy_dtype).itemsize:
        raise _malformed(name)
    return np.frombuffer(content, dtype.as_numpy_dtype).reshape(shape)


def _strings(content: bytes, shape: tuple[int, ...], name: str) -> np.ndarray:
    if prod(shape) > len(content):  # each takes a byte for its size at least
        raise _malformed(name)
    try:
        return np.array(tensor_coding.split(content, prod(shape)), object).reshape(shape)
    except ValueError as error:
        raise _malformed(name) from error


def _complete(values: np.ndarray, size: int) -> np.ndarray:
    """`values` cut or, with the last value (nothing: zero or the empty string), filled up to `size` elements."""
    if len(values) == size:
        return values
    if len(values) > size:
        return values[:size]
    zero: Any = b"" if values.dtype == object else 0
    full = np.full(size, values[-1] if len(values) else zero, values.dtype)
    full[: len(values)] = values
    return full


def _extend(proto: tensor_pb2.TensorProto, field: str, values: np.ndarray) -> None:
    if field not in _FIXED_WIDTH:
        getattr(proto, field).extend(values.tolist())
    elif len(values):
        number = tensor_pb2.TensorProto.DESCRIPTOR.fields_by_name[field].number
        data = values.tobytes()
        proto.MergeFromString(bytes([number << 3 | 2]) + tensor_coding.varint(len(data)) + data)
