"""Tensors on the wire: TensorProto and TensorFlow Serving's JSON to NumPy and back.

Sizes are checked before memory is taken. A TensorProto may hold fewer values than its shape has elements, and its last
value is then repeated: a message of 52 bytes can ask for millions of elements.

In JSON bytes are `{"b64": "base64"}`; string outputs whose name ends with `_bytes` are written so too. NaN and the
infinities are the words NaN, Infinity and -Infinity, as in Python's and TensorFlow Serving's JSON.
"""

import base64
import json
from math import prod
from typing import Any, Final

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from serving.server.calls import invalid_argument

MAX_ELEMENTS: Final = 1 << 18
"""The most elements of one input: 2 MB of numbers, or some 10 MB of strings."""
_MAX_REPEATED_BYTES: Final = 4 << 20
_MAX_RANK: Final = 8
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
DTYPES: Final = {number: np.dtype(tf.as_dtype(number).as_numpy_dtype) for number in _FIELDS}
"""The NumPy dtypes that are served, by TensorFlow's number."""
NUMBERS: Final = {dtype: number for number, dtype in DTYPES.items()}
_PYTHON_TYPES: Final = {"b": (bool,), "i": (int,), "u": (int,), "f": (int, float), "O": (str, bytes)}
"""The types of JSON values that an array of a NumPy kind takes."""

Tensors = dict[str, np.ndarray]
"""Arrays by the name of an input or output; strings are objects of bytes."""


def array_from_proto(proto: tensor_pb2.TensorProto, name: str) -> np.ndarray:
    """Returns the tensor as an array of its dtype and shape.

    Args:
      proto: The tensor, its values in the typed field or, numbers, in `tensor_content`.
      name: The input's name, for the message.

    Raises:
      ServingError: INVALID_ARGUMENT where the proto holds no such tensor, or one of more than `MAX_ELEMENTS`.
    """
    dtype = DTYPES.get(proto.dtype)
    if dtype is None:
        raise invalid_argument(f"input {name!r}: the dtype {proto.dtype} is not served")
    shape = tuple([dim.size for dim in proto.tensor_shape.dim])
    if min(shape, default=0) < 0:
        raise invalid_argument(f"input {name!r}: a dimension should not be negative. Received: {list(shape)}")
    _check_shape(shape, name)
    size = prod(shape)
    if proto.tensor_content:
        if dtype.hasobject or len(proto.tensor_content) != size * dtype.itemsize:
            raise invalid_argument(f"input {name!r}: `tensor_content` does not hold {dtype} of shape {list(shape)}")
        return np.frombuffer(proto.tensor_content, dtype).reshape(shape)
    values = getattr(proto, _FIELDS[proto.dtype])
    if len(values) > size:
        raise invalid_argument(f"input {name!r}: should hold {size} values. Received: {len(values)}")
    if dtype.hasobject and values and (size - len(values)) * len(values[-1]) > _MAX_REPEATED_BYTES:
        raise invalid_argument(f"input {name!r}: the shape repeats the last string too often")
    try:
        # `make_ndarray` reads every tensor, but takes a third of the time of a call on a small model.
        return np.array(values[:], dtype).reshape(shape) if len(values) == size else tf.make_ndarray(proto)
    except OverflowError as error:
        raise invalid_argument(f"input {name!r}: a value is out of the range of {dtype}") from error


def fill_proto(array: np.ndarray, proto: tensor_pb2.TensorProto) -> None:
    """Writes `array` into an empty `proto`, values in the typed field as TensorFlow Serving does."""
    proto.dtype = NUMBERS[array.dtype]
    proto.tensor_shape.SetInParent()  # a scalar has no dimension, and its shape would be left out
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    getattr(proto, _FIELDS[proto.dtype]).extend(array.reshape(-1).tolist())


def _check_shape(shape: tuple[int, ...], name: str) -> None:
    if len(shape) > _MAX_RANK:
        raise invalid_argument(f"input {name!r}: at most {_MAX_RANK} dimensions are served. Received: {len(shape)}")
    # Zeros are left out: NumPy and TensorFlow overflow on the other dimensions of an empty tensor as of a full one.
    if prod(size for size in shape if size) > MAX_ELEMENTS:
        raise invalid_argument(f"input {name!r}: at most {MAX_ELEMENTS:,} elements are served. Received: {list(shape)}")


def parse_body(body: bytes) -> dict[str, Any]:
    """Returns the request's JSON object. Raises `ServingError` (INVALID_ARGUMENT)."""
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise invalid_argument(f"the body is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise invalid_argument(f"the body should be a JSON object. Received: {type(values).__name__}")
    return values


def inputs_from_json(values: dict[str, Any], dtypes: dict[str, int]) -> tuple[Tensors, bool]:
    """Returns the inputs' arrays by name, and whether the request is in row form.

    Args:
      values: The request: `instances`, a list of rows, each an object by input or the value of the only input; or
        `inputs`, an object of columns or the value of the only input.
      dtypes: TensorFlow's number of every input's dtype, by name.

    Raises:
      ServingError: INVALID_ARGUMENT naming the input and what is wrong with it.
    """
    if ("instances" in values) == ("inputs" in values):
        raise invalid_argument("the body should have one of the keys `instances` and `inputs`")
    by_row = "instances" in values
    columns = _columns(values["instances"], dtypes) if by_row else values["inputs"]
    if not isinstance(columns, dict) or _is_base64(columns):
        if len(dtypes) != 1:
            raise invalid_argument(f"the inputs should be named, as the signature has {', '.join(sorted(dtypes))}")
        columns = dict.fromkeys(dtypes, columns)
    if columns.keys() != dtypes.keys():
        wanted, found = (", ".join(sorted(names)) or "none" for names in (dtypes, columns))
        raise invalid_argument(f"the inputs should be {wanted}. Received: {found}")
    return {name: _array_from_json(columns[name], dtype, name) for name, dtype in dtypes.items()}, by_row


def outputs_to_json(outputs: Tensors, by_row: bool) -> str:
    """Returns the answer: `predictions`, a list of rows, or `outputs`, a column or an object of columns.

    Raises:
      ServingError: INVALID_ARGUMENT for the row form of outputs whose first dimensions differ.
    """
    columns = {name: _to_lists(array, name) for name, array in outputs.items()}
    only = next(iter(columns.values())) if len(columns) == 1 else None
    if not by_row:
        return json.dumps({"outputs": columns if only is None else only})
    if len({array.shape[:1] for array in outputs.values()}) > 1 or any(not array.ndim for array in outputs.values()):
        raise invalid_argument("the outputs have no common number of rows: ask with `inputs`")
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return json.dumps({"predictions": rows if only is None else only})


def _columns(instances: Any, dtypes: dict[str, int]) -> Any:
    """Returns the rows as columns by input; rows that are values of the only input as they are."""
    if not isinstance(instances, list) or not instances:
        raise invalid_argument("`instances` should be a list of at least one row")
    if not isinstance(instances[0], dict) or _is_base64(instances[0]):
        return instances
    for number, row in enumerate(instances):
        if not isinstance(row, dict) or row.keys() != dtypes.keys():
            wanted = ", ".join(sorted(dtypes))
            raise invalid_argument(f"row {number} of `instances` should be an object with the keys {wanted}")
    return {name: [row[name] for row in instances] for name in dtypes}


def _array_from_json(value: Any, number: int, name: str) -> np.ndarray:
    """Returns nested lists as an array of a dtype. Raises `ServingError` (INVALID_ARGUMENT)."""
    dtype = DTYPES[number]
    nested = np.array(value, object)  # lists of unequal lengths stay elements
    _check_shape(nested.shape, name)
    flat = [_decoded(element, name) if _is_base64(element) else element for element in nested.reshape(-1).tolist()]
    for element in flat:
        if isinstance(element, list):
            raise invalid_argument(f"input {name!r}: lists of one level should have equal lengths")
        if type(element) not in _PYTHON_TYPES[dtype.kind]:
            wanted = tf.as_dtype(number).name
            raise invalid_argument(f"input {name!r}: should hold {wanted}. Received: {str(element)[:80]!r}")
    try:
        if dtype.hasobject:
            flat = [element.encode() if isinstance(element, str) else element for element in flat]
        return np.array(flat, dtype).reshape(nested.shape)
    except (OverflowError, UnicodeEncodeError) as error:
        raise invalid_argument(f"input {name!r}: {error}") from error


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"b64"}


def _decoded(value: dict[str, Any], name: str) -> bytes:
    try:
        text = value["b64"]
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)  # padding may be left out
    except (TypeError, ValueError) as error:  # binascii.Error is a ValueError
        raise invalid_argument(f"input {name!r}: `b64` should be base64 text ({error})") from error


def _to_lists(array: np.ndarray, name: str) -> Any:
    if not array.dtype.hasobject:
        return array.tolist()
    if name.endswith("_bytes"):
        write = np.vectorize(lambda value: {"b64": base64.b64encode(value).decode()}, otypes=[object])
    else:
        write = np.vectorize(lambda value: value.decode("utf-8", "replace"), otypes=[object])
    return write(array).tolist()
