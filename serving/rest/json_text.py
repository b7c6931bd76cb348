"""JSON as TensorFlow Serving reads and prints it: RapidJSON's messages, layout and numbers."""

import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from serving.errors import ServingError, invalid_argument

_SHOWN: Final = 256
_DECODER: Final = json.JSONDecoder()
_TYPES: Final = {dict: "Object", list: "Array", str: "String", int: "Number", float: "Number", type(None): "Null"}
_MESSAGES: Final = {
    "Expecting value": "Invalid value.",
    "Expecting property name enclosed in double quotes": "Missing a name for object member.",
    "Illegal trailing comma before end of object": "Missing a name for object member.",
    "Illegal trailing comma before end of array": "Invalid value.",
    "Expecting ':' delimiter": "Missing a colon after a name of object member.",
    "Unterminated string starting at": "Missing a closing quotation mark in string.",
    "Invalid control character at": "Invalid encoding in string.",
    "Invalid \\escape": "Invalid escape character in string.",
    "Invalid \\uXXXX escape": "Incorrect hex digit after \\u escape in string.",
}


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object that the body starts with; what follows it is not looked at.

    Bytes that are no UTF-8 are kept, as surrogates: a string feature may hold any. Raises `ServingError`
    (INVALID_ARGUMENT).
    """
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    text = body.decode("utf-8", "surrogateescape")
    start = len(text) - len(text.lstrip(" \t\r\n"))
    if start == len(text):
        raise _parse_error("The document is empty.", text, start)
    try:
        value, _ = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise _parse_error(_message(error), text, error.pos) from error
    except (ValueError, RecursionError) as error:
        raise invalid_argument(f"JSON Parse error: {error}") from error
    if not isinstance(value, dict):
        raise value_error(value, "Is not object")
    return value


def signature_name(values: dict[str, Any]) -> str:
    """The body's `signature_name`, empty when it has none. Raises `ServingError` (INVALID_ARGUMENT)."""
    name = values.get("signature_name", "")
    if not isinstance(name, str):
        raise value_error(values, "not formatted correctly. 'signature_name' key must be a string value.")
    return name


def value_error(value: Any, text: str) -> ServingError:
    """INVALID_ARGUMENT that shows the value and says what is wrong with it."""
    return invalid_argument(f"JSON Value: {show(value)} {text}")


def show(value: Any) -> str:
    """The value's text, cut after 256 bytes."""
    return one_line(value, 0)[:_SHOWN]


def type_of(value: Any) -> str:
    """A value's type in messages: `Object`, `Array`, `String`, `Number`, `True`, `False` or `Null`."""
    return str(value) if isinstance(value, bool) else _TYPES[type(value)]


def encoded(text: str) -> bytes:
    """A string of a request as bytes. Raises `ServingError` for half of a surrogate pair."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise invalid_argument("JSON Parse error: The surrogate pair in string is invalid.") from error


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
    return _object({key: f"[{joined}{_line(1)}]" if items else "[]"}, 0)


def error_text(message: str) -> str:
    """The body of an error."""
    return _object({"error": json.dumps(message, ensure_ascii=False)}, 0)


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


def _message(error: json.JSONDecodeError) -> str:
    if error.msg != "Expecting ',' delimiter":
        return _MESSAGES.get(error.msg, error.msg)
    # Which bracket is open: the last one before the error that nothing closed, strings left out.
    depth, quoted = list[str](), False
    for position, char in enumerate(error.doc[: error.pos]):
        if char == '"' and (position == 0 or error.doc[position - 1] != "\\"):
            quoted = not quoted
        elif not quoted and char in "[{":
            depth.append(char)
        elif not quoted and char in "]}":
            depth.pop()
    inside = depth and depth[-1] == "{"
    return f"Missing a comma or {'}' if inside else ']'} after an {'object member' if inside else 'array element'}."


def _parse_error(message: str, text: str, position: int) -> ServingError:
    offset = len(text[:position].encode("utf-8", "surrogateescape"))
    return invalid_argument(f"JSON Parse error: {message} at offset: {offset}")


def _leaf(value: Any) -> str:
    return value.text if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)


def _object(texts: dict[str, str], depth: int) -> str:
    if not texts:
        return "{}"
    inner = ",".join(f"{_line(depth + 1)}{json.dumps(k, ensure_ascii=False)}: {text}" for k, text in texts.items())
    return f"{{{inner}{_line(depth)}}}"


def _list(texts: list[str], depth: int) -> str:
    if not texts:
        return "[]"
    return f"[{','.join(_line(depth + 1) + text for text in texts)}{_line(depth)}]"


def _line(depth: int) -> str:
    return "\n" + "    " * depth
