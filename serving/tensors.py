"""TensorProto to NumPy and back, without a Python loop over the elements."""

from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from serving import tensor_coding
from serving.errors import ServingError, invalid_argument

MAX_BYTES: Final = 1 << 30
"""A tensor that says it is larger is refused before memory is taken for it."""


@dataclass(frozen=True)
class _Type:
    """A dtype as it stands in a TensorProto.

    Attributes:
        number: of the dtype in protos.
        field: which holds the values.
        tag: of that field on the wire where its bytes there are the array's own (little-endian); else empty.
        array: the dtype of the array, objects for strings.
        stored: the dtype of the field's elements.
        per_value: elements for one value: a complex number has two.
    """

    number: int
    field: str
    tag: bytes
    array: np.dtype
    stored: np.dtype
    per_value: int

    @property
    def is_string(self) -> bool:
        return self.array.hasobject


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
_STORED_AS: Final[dict[tf.DType, type]] = {  # the field elements' type where it is not the tensor's own
    tf.half: np.uint16,
    tf.bfloat16: np.uint16,
    tf.complex64: np.float32,
    tf.complex128: np.float64,
}
_FIXED_WIDTH: Final = frozenset({"float_val", "double_val", "scomplex_val", "dcomplex_val", "bool_val"})


def _type(dtype: tf.DType, field: str) -> _Type:
    number = tensor_pb2.TensorProto.DESCRIPTOR.fields_by_name[field].number
    array = np.dtype(dtype.as_numpy_dtype)
    return _Type(
        number=dtype.as_datatype_enum,
        field=field,
        tag=bytes([number << 3 | 2]) if field in _FIXED_WIDTH else b"",
        array=array,
        stored=np.dtype(_STORED_AS.get(dtype, array)),
        per_value=2 if dtype.is_complex else 1,
    )


_BY_NUMBER: Final = {found.number: found for found in (_type(dtype, field) for dtype, field in _FIELDS.items())}
_BY_ARRAY: Final = {found.array: found for found in _BY_NUMBER.values()}


def to_array(proto: tensor_pb2.TensorProto, name: str) -> np.ndarray:
    """The tensor as an array: of its dtype and shape, strings as objects of bytes.

    As in TensorFlow, fewer values than the shape asks for are filled up with the last one. Raises `ServingError`
    (INVALID_ARGUMENT) naming `name`, the tensor's alias in the request, when the proto holds no such tensor.
    """
    kind = _BY_NUMBER.get(proto.dtype)
    if kind is None:
        raise _malformed(name)
    shape = _shape(proto, kind, name)
    if proto.tensor_content:
        return _from_content(proto.tensor_content, kind, shape, name)
    field = getattr(proto, kind.field)
    try:
        values = np.array(field[:], object) if kind.is_string else np.fromiter(field, kind.stored, len(field))
    except OverflowError:  # the field holds more bits than the dtype: the lower ones count
        values = np.fromiter(field, np.int64, len(field)).astype(kind.stored)
    return _complete(values, prod(shape) * kind.per_value).view(kind.array).reshape(shape)


def fill_proto(array: np.ndarray, proto: tensor_pb2.TensorProto, as_content: bool = False) -> None:
    """Writes `array` into an empty `proto`: into the typed fields, as TensorFlow Serving does, or `tensor_content`."""
    kind = _BY_ARRAY[array.dtype]
    proto.dtype = kind.number
    proto.tensor_shape.SetInParent()  # a scalar's has no dimension, and would be left out
    dims = proto.tensor_shape.dim
    for size in array.shape:
        dims.add(size=size)
    if as_content:
        proto.tensor_content = tensor_coding.joined(array.reshape(-1).tolist()) if kind.is_string else array.tobytes()
    elif not kind.tag:
        getattr(proto, kind.field).extend(array.reshape(-1).view(kind.stored).tolist())
    elif array.size:
        data = array.tobytes()
        proto.MergeFromString(kind.tag + tensor_coding.varint(len(data)) + data)


def number_of(array: np.ndarray) -> int:
    """The number in protos of an array's dtype, one that `to_array` gives."""
    return _BY_ARRAY[array.dtype].number


def to_dtype(array: np.ndarray) -> tf.DType:
    """The TensorFlow dtype of an array as sessions give them: objects are strings."""
    return tf.string if array.dtype == object else tf.as_dtype(array.dtype)


def type_name(dtype: tf.DType | int) -> str:
    """A dtype as TensorFlow's C++ messages call it: `float`, `double`, `int64`, `string`."""
    name: str = tf.as_dtype(dtype).name
    return {"float32": "float", "float64": "double", "float16": "half"}.get(name, name)


def _malformed(name: str) -> ServingError:
    return invalid_argument(f"tensor parsing error: {name}")


def _shape(proto: tensor_pb2.TensorProto, kind: _Type, name: str) -> tuple[int, ...]:
    message = proto.tensor_shape
    shape = tuple([dim.size for dim in message.dim])
    if min(shape, default=0) < 0:
        raise _malformed(name)
    if prod(shape) * kind.array.itemsize > MAX_BYTES:
        raise _malformed(name)
    return shape


def _from_content(content: bytes, kind: _Type, shape: tuple[int, ...], name: str) -> np.ndarray:
    """As in TensorFlow, nobody looks at the content of a tensor without elements."""
    if 0 in shape:
        return np.empty(shape, kind.array)
    if kind.is_string:
        return _strings(content, shape, name)
    if len(content) != prod(shape) * kind.array.itemsize:
        raise _malformed(name)
    return np.frombuffer(content, kind.array).reshape(shape)


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
