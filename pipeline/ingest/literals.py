"""Lists as JSON, Python and NumPy write them, and the one spelling of a JSON value as text."""

import ast
import json
import math
import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_STRING: Final = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_ELEMENT: Final = rf"{_STRING}|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|None|True|False|nan"
_LIST: Final = re.compile(rf"[\[(]\s*(?:(?:{_ELEMENT})(?:\s*,\s*|\s+|(?=[\])])))*[\])]", re.DOTALL)
_BRACKETS: Final = r"(?s)^(?:\[.*\]|\(.*,.*\)|\{['\"].*['\"]\})$"
"""What may be a list, or a tuple or a set of Python, which (2001) and {a} are not."""
_ONE: Final = re.compile(_ELEMENT, re.DOTALL)
_MAX_WHOLE_FLOAT: Final = 2**53


class ListError(ValueError):
    """A list holds lists or objects in place of values."""


def read_lists(text: pa.Array, otherwise: pa.Array) -> pa.Array:
    """Reads texts that are lists. Each distinct text is read once.

    Args:
      text: Text [n], without blanks at its ends.
      otherwise: Lists of text [n], returned where a text is not a list.

    Returns:
      Lists of text [n], null where missing. For ["['a', 'b']", "c"] and [["?"], ["c"]]: [["a", "b"], ["c"]].

    Raises:
      ListError: If a list holds objects or lists.
    """
    is_list = pc.fill_null(pc.match_substring_regex(text, _BRACKETS), False)
    if not pc.any(is_list).as_py():
        return otherwise
    encoded = text.filter(is_list).dictionary_encode()
    read = [_read_list(word) for word in encoded.dictionary.to_pylist()]
    is_read = np.array([values is not None for values in read], bool)
    lists = pa.array(read, pa.list_(pa.string()))
    rows = np.flatnonzero(is_list.to_numpy(zero_copy_only=False))
    sources, indices = np.arange(len(text)), encoded.indices.to_numpy()
    sources[rows[is_read[indices]]] = len(text) + indices[is_read[indices]]
    return pa.concat_arrays([otherwise.cast(lists.type), lists]).take(pa.array(sources))


def _read_list(text: str) -> list[str | None] | None:
    """Returns the values of a list; None where the text is not a list."""
    try:
        values = json.loads(text)
    except ValueError:
        is_plain = _LIST.fullmatch(text)
        values = [_element(word) for word in _ONE.findall(text)] if is_plain else _python_literal(text)
    return spell_all(values, text) if isinstance(values, list | tuple) else None


def _python_literal(text: str) -> Any:
    """Returns a list, tuple or set as Python writes it; None where the text is something else."""
    try:
        values = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
    return sorted(values, key=lambda value: text.find(repr(value))) if isinstance(values, set) else values


def _element(word: str) -> Any:
    return math.nan if word == "nan" else ast.literal_eval(word.lstrip("+") if word[0] in "+-.0123456789" else word)


def spell_all(values: Sequence[Any], text: str = "") -> list[str | None]:
    """Returns the values of a list as `spell` writes them, None where missing.

    Args:
      values: The values.
      text: The list as it is written, for the message.

    Raises:
      ListError: If one of them is an object or a list.
    """
    nested = next((value for value in values if isinstance(value, dict | list | tuple | set)), None)
    if nested is not None:
        raise nested_values(type(nested).__name__, text or str(values))
    return [None if value is None else spell(value) for value in values]


def nested_values(kind: str, text: str) -> ListError:
    """Returns the error for a list that holds lists or objects, by the name of their type."""
    return ListError(
        f"a list holds {kind}s, not values: {text[:80]!r}. Write what should be the values into the column"
    )


def spell(value: Any) -> str:
    """Returns the spelling of a JSON value that `values.as_text` has for a column of its type: `true`, 6 for 6.0."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        return str(int(value)) if value.is_integer() and abs(value) < _MAX_WHOLE_FLOAT else repr(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def as_array(values: Sequence[Any]) -> pa.Array:
    """Returns an Arrow array of JSON values, even where they differ in type or have more than 64 bits.

    Such values become text, by `spell`; where some are lists all become lists of text, a single value a list of one.

    Raises:
      ListError: If some are lists and one of these holds objects or lists.
    """
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        pass
    if not any(isinstance(value, list) for value in values):
        return pa.array([None if value is None else spell(value) for value in values], pa.string())
    lists = (value if value is None or isinstance(value, list) else [value] for value in values)
    return pa.array([None if row is None else spell_all(row) for row in lists], pa.list_(pa.string()))
