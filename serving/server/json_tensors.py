"""Predict requests and answers as JSON, in TensorFlow Serving's row form (`instances`) and column form (`inputs`).

Bytes are `{"b64": "base64"}`; outputs of strings whose name ends with `_bytes` are written so too. NaN and the
infinities are the words NaN, Infinity and -Infinity, as Python's and TensorFlow Serving's JSON have them.
"""

import base64
import binascii
import json
from typing import Any, Final

import numpy as np
import tensorflow as tf

from serving.server.errors import invalid_argument
from serving.server.predict import Tensors
from serving.server.servable import Signature
from serving.server.tensors import check_size

_MAX_DEPTH: Final = 8
_KINDS: Final = {"b": (bool,), "i": (int,), "u": (int,), "f": (int, float), "O": (str, bytes)}
"""Python's types that an array of a NumPy kind takes."""


def parse_body(body: bytes) -> dict[str, Any]:
    """Returns the request's JSON object. Raises `ServingError` (INVALID_ARGUMENT)."""
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise invalid_argument(f"the body is no JSON: {error}") from error
    if not isinstance(values, dict):
        raise invalid_argument(f"the body should be a JSON object. Received: {type(values).__name__}")
    return values


def read_inputs(values: dict[str, Any], signature: Signature) -> tuple[Tensors, bool]:
    """Returns the inputs' arrays by alias, and whether the request is in row form.

    Args:
      values: The request: `instances`, a list of rows, each an object by input or the value of the only input; or
        `inputs`, an object of columns or the value of the only input.
      signature: Which inputs there are, with their dtypes.

    Raises:
      ServingError: INVALID_ARGUMENT naming the input and what is wrong with it.
    """
    if ("instances" in values) == ("inputs" in values):
        raise invalid_argument("the body should have one of the keys `instances` and `inputs`")
    by_row = "instances" in values
    columns = _columns(values["instances"], signature) if by_row else values["inputs"]
    if not isinstance(columns, dict) or _is_base64(columns):
        columns = {_only_input(signature): columns}
    if columns.keys() != signature.inputs.keys():
        wanted, found = (", ".join(sorted(names)) or "none" for names in (signature.inputs, columns))
        raise invalid_argument(f"the inputs should be {wanted}. Received: {found}")
    return {alias: to_array(columns[alias], signature.dtypes[alias], alias) for alias in signature.inputs}, by_row


def to_array(value: Any, dtype: int, name: str) -> np.ndarray:
    """Returns nested lists as an array of a dtype, given by its number. Raises `ServingError` (INVALID_ARGUMENT)."""
    wanted = np.dtype(tf.as_dtype(dtype).as_numpy_dtype)
    shape, flat = _flattened(value, name)
    check_size(shape, name)
    flat = [_bytes(element, name) if _is_base64(element) else element for element in flat]
    if not all(type(element) in _KINDS[wanted.kind] for element in flat):
        found = next(element for element in flat if type(element) not in _KINDS[wanted.kind])
        raise invalid_argument(f"input {name!r}: should hold {tf.as_dtype(dtype).name}. Received: {str(found)[:80]!r}")
    try:
        if wanted.hasobject:
            encoded = [element.encode() if isinstance(element, str) else element for element in flat]
            return np.fromiter(encoded, object, len(encoded)).reshape(shape)
        return np.array(flat, wanted).reshape(shape)
    except (OverflowError, UnicodeEncodeError) as error:
        raise invalid_argument(f"input {name!r}: {error}") from error


def answer_body(outputs: Tensors, by_row: bool) -> str:
    """Returns the answer: `predictions`, a list of rows, or `outputs`, a column or an object of columns.

    Raises:
      ServingError: INVALID_ARGUMENT where outputs without equal numbers of rows are asked for in row form.
    """
    columns = {name: _to_lists(array, name) for name, array in outputs.items()}
    only = next(iter(columns.values())) if len(columns) == 1 else None
    if not by_row:
        return json.dumps({"outputs": columns if only is None else only})
    if len({array.shape[:1] for array in outputs.values()}) > 1 or any(not array.ndim for array in outputs.values()):
        raise invalid_argument("the outputs have no common number of rows: ask with `inputs`")
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return json.dumps({"predictions": rows if only is None else only})


def _columns(instances: Any, signature: Signature) -> Any:
    """The rows as columns by input; where the rows are values of the only input, the rows."""
    if not isinstance(instances, list) or not instances:
        raise invalid_argument("`instances` should be a list of rows, one at least")
    if not isinstance(instances[0], dict) or _is_base64(instances[0]):
        return instances
    for number, row in enumerate(instances):
        if not isinstance(row, dict) or row.keys() != signature.inputs.keys():
            wanted = ", ".join(sorted(signature.inputs))
            raise invalid_argument(f"row {number} of `instances` should be an object with the keys {wanted}")
    return {alias: [row[alias] for row in instances] for alias in signature.inputs}


def _only_input(signature: Signature) -> str:
    if len(signature.inputs) != 1:
        raise invalid_argument(f"name the inputs: the signature has {', '.join(sorted(signature.inputs))}")
    return next(iter(signature.inputs))


def _flattened(value: Any, name: str) -> tuple[tuple[int, ...], list[Any]]:
    """The shape of nested lists and their elements in order."""
    shape: list[int] = []
    level = [value]
    while level and isinstance(level[0], list):
        size = len(level[0])
        if not all(isinstance(element, list) and len(element) == size for element in level):
            raise invalid_argument(f"input {name!r}: lists of one level should have one length")
        if len(shape) == _MAX_DEPTH:
            raise invalid_argument(f"input {name!r}: lists should be nested {_MAX_DEPTH} deep at most")
        shape.append(size)
        level = [element for inner in level for element in inner]
    return tuple(shape), level


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"b64"}


def _bytes(value: dict[str, Any], name: str) -> bytes:
    try:
        text = value["b64"]
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)  # padding may be left out
    except (binascii.Error, TypeError, ValueError) as error:
        raise invalid_argument(f"input {name!r}: `b64` should be base64 text ({error})") from error


def _to_lists(array: np.ndarray, name: str) -> Any:
    if not array.dtype.hasobject:
        return array.tolist()
    values: list[Any] = array.reshape(-1).tolist()
    if name.endswith("_bytes"):
        values = [{"b64": base64.b64encode(value).decode()} for value in values]
    else:
        values = [value.decode("utf-8", "replace") for value in values]
    return np.fromiter(values, object, len(values)).reshape(array.shape).tolist()
