"""JSON values to tensors and back.

A value that fits is turned into an array by NumPy as a whole; one that does not is walked through again, element by
element, for TensorFlow Serving's message about the first thing that is wrong with it.
"""

import base64
import binascii
from itertools import chain
from typing import Any, Final

import numpy as np
import tensorflow as tf

from serving.errors import ServingError, invalid_argument, unimplemented
from serving.rest.json_show import show
from serving.rest.json_text import decimals, encoded, type_of, value_error
from serving.tensors import to_dtype, type_name

_RANGES: Final[dict[tf.DType, tuple[int, int]]] = {
    tf.int32: (-(1 << 31), (1 << 31) - 1),
    tf.int64: (-(1 << 63), (1 << 63) - 1),
    tf.uint32: (0, (1 << 32) - 1),
    tf.uint64: (0, (1 << 64) - 1),
}
"""What fits an integer type; the smaller ones take what fits int32 and keep its lowest bits."""
_SMALL: Final = frozenset({tf.int8, tf.int16, tf.uint8})
_KNOWN: Final = frozenset({*_RANGES, *_SMALL, tf.float32, tf.float64, tf.bool, tf.string})


def to_array(value: Any, dtype: tf.DType) -> np.ndarray:
    """Nested lists as an array. Raises `ServingError` (INVALID_ARGUMENT; UNIMPLEMENTED for the dtype)."""
    shape: list[int] = []
    level, probe = [value], value
    while isinstance(probe, list):
        if not all(isinstance(v, list) and len(v) == len(probe) for v in level):
            raise _first_error(value, dtype)
        shape.append(len(probe))
        level = list(chain.from_iterable(level))
        probe = level[0] if level else None
    if not _fit(level, dtype):
        raise _first_error(value, dtype)
    if dtype == tf.string:
        return np.array([_bytes(v) for v in level], object).reshape(shape)
    wide = np.int64 if dtype in _SMALL else dtype.as_numpy_dtype
    with np.errstate(over="ignore"):
        return np.array(level, wide).astype(dtype.as_numpy_dtype).reshape(shape)


def shape_of(value: Any) -> list[int]:
    """The sizes along the first elements."""
    return [len(value), *(shape_of(value[0]) if value else [])] if isinstance(value, list) else []


def is_base64(value: Any) -> bool:
    """Whether it is the object that stands for bytes: `{"b64": text}`."""
    return isinstance(value, dict) and list(value) == ["b64"] and isinstance(value["b64"], str)


def from_base64(value: dict[str, str]) -> bytes:
    """The bytes of such an object. Raises `ServingError` (INVALID_ARGUMENT)."""
    padded = "".join(value["b64"].split())
    text = padded.rstrip("=")
    padding = "=" * (-len(text) % 4)
    try:
        if padded not in (text, text + padding):
            raise ValueError("a part of the padding is missing, or there is too much")
        return base64.b64decode(text + padding, validate=True)
    except (ValueError, binascii.Error) as error:
        raise invalid_argument("Unable to base64 decode") from error


def to_lists(array: np.ndarray, name: str) -> Any:
    """Lists of JSON values; bytes of a tensor whose name ends with `_bytes` as base64. Raises `ServingError`."""
    if to_dtype(array) not in _KNOWN and array.size:
        kind = type_name(to_dtype(array))
        raise invalid_argument(f"Failed to write JSON value for tensor type: {kind}")
    if array.dtype != object:
        return decimals(array) if array.dtype.kind == "f" else array.tolist()
    flat = array.reshape(-1).tolist()
    if name.endswith("_bytes"):
        values: list[Any] = [{"b64": base64.b64encode(value).decode()} for value in flat]
    else:
        values = [value.decode("utf-8", "surrogateescape") for value in flat]
    return np.fromiter(values, object, len(values)).reshape(array.shape).tolist()


def _fit(values: list[Any], dtype: tf.DType) -> bool:
    """Whether all of the values are of the dtype."""
    types = set(map(type, values))
    if not values:
        return True
    if dtype == tf.string:
        return types <= {str, dict} and all(isinstance(v, str) or is_base64(v) for v in values)
    if dtype == tf.bool or dtype not in _KNOWN:
        return types <= {bool} and dtype == tf.bool
    if dtype.is_floating:
        return types <= {int, float} and not any(isinstance(v, int) and abs(v) >= 1 << 1023 for v in values)
    low, high = _RANGES.get(dtype, _RANGES[tf.int32])
    return types <= {int} and low <= min(values) and max(values) <= high


def _bytes(value: Any) -> bytes:
    return encoded(value) if isinstance(value, str) else from_base64(value)


def _first_error(value: Any, dtype: tf.DType) -> ServingError:
    shape = shape_of(value)
    found = _walk(value, 0, dtype, shape)
    return found or invalid_argument(f"JSON Value: {show(value)} is not a tensor of {type_name(dtype)} {shape}")


def _walk(value: Any, level: int, dtype: tf.DType, shape: list[int]) -> ServingError | None:
    rank = len(shape)
    if not isinstance(value, list):
        if level == rank:
            return _leaf_error(value, dtype)
        return value_error(value, f"found at incorrect level: {level + 1} in the JSON DOM. Expected at level: {rank}")
    if level >= rank:
        return invalid_argument(f"Encountered list at unexpected level: {level} expected < {rank}")
    if len(value) != shape[level]:
        return invalid_argument(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    found = (_walk(element, level + 1, dtype, shape) for element in value)
    return next((error for error in found if error is not None), None)


def _leaf_error(value: Any, dtype: tf.DType) -> ServingError | None:
    if _fit([value], dtype):
        return None
    if isinstance(value, dict) and dtype == tf.string:
        return value_error(value, "not formatted correctly for base64 data")
    if dtype not in _KNOWN and not isinstance(value, dict):
        return unimplemented(f"Conversion of JSON Value: {show(value)} to type: {type_name(dtype)}")
    return value_error(value, f"Type: {type_of(value)} is not of expected type: {type_name(dtype)}")
