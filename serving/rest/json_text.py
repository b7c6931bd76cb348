"""JSON as TensorFlow Serving reads and prints it: RapidJSON's messages, layout and numbers."""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from serving.errors import ServingError, invalid_argument
from serving.rest import json_parser
from serving.rest.json_show import new_line, quoted, show

_DECODER: Final = json.JSONDecoder()
_TYPES: Final = {dict: "Object", list: "Array", str: "String", int: "Number", float: "Number", type(None): "Null"}
_HALF_A_PAIR: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F]"
)
"""An escaped surrogate without its other half: the standard library takes it for a character."""


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object that the body starts with; what follows it is not looked at.

    Bytes that are no UTF-8 are kept, as surrogates: a string feature may hold any. Raises `ServingError`
    (INVALID_ARGUMENT).
    """
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    try:
        value = _parsed(body)
    except RecursionError as error:
        raise invalid_argument(f"JSON Parse error: {error}") from error
    if not isinstance(value, dict):
        raise value_error(value, "Is not object")
    return value


def signature_name(values: dict[str, Any]) -> str:
    """The body's `signature_name`, empty when it has none. Raises `ServingError` (INVALID_ARGUMENT)."""
    name = values.get("signature_name", "")
    if not isinstance(name, str):
        raise value_error(values, "not formatted correctly. 'signature_name' key must be a string value.")
    return as_name(name)


def as_name(text: str) -> str:
    """A string as messages may hold it for a name: what is no UTF-8 is replaced."""
    return text if text.isascii() else encoded(text).decode("utf-8", "replace")


def value_error(value: Any, text: str) -> ServingError:
    """INVALID_ARGUMENT that shows the value and says what is wrong with it."""
    return invalid_argument(f"JSON Value: {show(value)} {text}")


def type_of(value: Any) -> str:
    """A value's type in messages: `Object`, `Array`, `String`, `Number`, `True`, `False` or `Null`."""
    return str(value) if isinstance(value, bool) else _TYPES[type(value)]


def encoded(text: str) -> bytes:
    """A string of a request as bytes, those that are no UTF-8 as they came."""
    return text.encode("utf-8", "surrogateescape")


def one_line(value: Any, depth: int) -> str:
    """Lists on one line, objects with a line for each key; `depth` is how many lists and objects are around."""
    if isinstance(value, list):
        return f"[{', '.join([one_line(v, depth + 1) for v in value])}]"
    if isinstance(value, dict):
        return _object({key: one_line(v, depth + 1) for key, v in value.items()}, depth)
    return _leaf(value)


def lines(value: Any, depth: int) -> str:
    """Lists with a line for each element, objects with a line for each key."""
    if isinstance(value, list):
        return _list([lines(v, depth + 1) for v in value], depth)
    if isinstance(value, dict):
        return _object({key: lines(v, depth + 1) for key, v in value.items()}, depth)
    return _leaf(value)


def rows(key: str, items: list[Any], named: bool = False) -> str:
    """`{key: items}` as TensorFlow Serving lays out predictions: `named` ones on their own lines, others on one."""
    if named:
        texts = [_object({name: one_line(v, 3) for name, v in item.items()}, 2) for item in items]
        return _object({key: _list(texts, 1)}, 0)
    joined = ", ".join([one_line(item, 2) for item in items])
    return _object({key: f"[{joined}{new_line(1)}]" if items else "[]"}, 0)


def error_text(message: str) -> str:
    """The body of an error."""
    return _object({"error": quoted(message)}, 0)


@dataclass(frozen=True, slots=True)
class Decimal:
    """A number as it is printed."""

    text: str


def decimals(values: Any) -> list[Any]:
    """Floats as TensorFlow Serving prints them: with six digits where these say it all, else with enough.

    `values` is an array, or a list of what was float32.
    """
    array = np.asarray(values, getattr(values, "dtype", np.float32))
    flat, digits = array.reshape(-1), 9 if array.dtype.itemsize <= 4 else 17
    numbers = flat.tolist()
    short = np.array([f"{number:.6g}" for number in numbers], dtype=object).astype(array.dtype)
    exact = (short == flat) | ~np.isfinite(flat)
    texts = [Decimal(_decimal(n, 6 if same else digits)) for n, same in zip(numbers, exact.tolist(), strict=True)]
    listed: list[Any] = np.fromiter(texts, object, len(texts)).reshape(array.shape).tolist()
    return listed


def _decimal(value: float, digits: int) -> str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    text = f"{float(value):.{digits}g}"
    return text if "." in text or "e" in text else f"{text}.0"


def _parsed(body: bytes) -> Any:
    if b"\\u" in body and (b"\\\\u" in body or _HALF_A_PAIR.search(body)):
        return json_parser.parse(body)
    text = body.decode("utf-8", "surrogateescape")
    start = len(text) - len(text.lstrip(" \t\r\n"))
    try:
        return _DECODER.raw_decode(text, start)[0]
    except ValueError:
        return json_parser.parse(body)


def _leaf(value: Any) -> str:
    if isinstance(value, str):
        return quoted(value)
    return value.text if isinstance(value, Decimal) else json.dumps(value)


def _object(texts: dict[str, str], depth: int) -> str:
    if not texts:
        return "{}"
    inner = ",".join(f"{new_line(depth + 1)}{quoted(name)}: {text}" for name, text in texts.items())
    return f"{{{inner}{new_line(depth)}}}"


def _list(texts: list[str], depth: int) -> str:
    if not texts:
        return "[]"
    return f"[{','.join(new_line(depth + 1) + text for text in texts)}{new_line(depth)}]"
