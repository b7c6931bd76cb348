"""Lists as JSON, Python and NumPy write them, and the one spelling of a value that JSON holds."""

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
"""What may be a list, or a tuple or a set of Python: (2001) and {a} are none."""
_ONE: Final = re.compile(_ELEMENT, re.DOTALL)
_EXACT: Final = 2**53


class ListError(ValueError):
    """A list holds what is no value. The message says what was found."""


def read_lists(text: pa.Array, otherwise: pa.Array) -> pa.Array:
    """The lists of texts that are lists; of other texts what stands in `otherwise`.

    Each distinct text is read once.

    Args:
      text: Text [n], without blanks at its ends.
      otherwise: Lists of text [n].

    Returns:
      Lists of text [n], null where missing.

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
    positions, indices = np.arange(len(text)), encoded.indices.to_numpy()
    positions[rows[is_read[indices]]] = len(text) + indices[is_read[indices]]
    return pa.concat_arrays([otherwise.cast(lists.type), lists]).take(pa.array(positions))


def _read_list(text: str) -> list[str | None] | None:
    """The list that the text is; None where it is none."""
    try:
        values = json.loads(text)
    except ValueError:
        if not _LIST.fullmatch(text):
            return _read_other(text)
        values = [_element(word) for word in _ONE.findall(text)]
    return _spelt(values, text) if isinstance(values, list) else None


def _read_other(text: str) -> list[str | None] | None:
    """A Python list of something else than plain values, a tuple or a set."""
    try:
        values = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
    if isinstance(values, set):
        values = sorted(values, key=lambda value: text.find(repr(value)))  # as they are written
    return _spelt(values, text) if isinstance(values, list | tuple) else None


def _spelt(values: Sequence[Any], text: str = "") -> list[str | None]:
    nested = next((value for value in values if isinstance(value, dict | list | tuple | set)), None)
    if nested is not None:
        raise no_values(type(nested).__name__, text or str(values))
    return [None if value is None else spell(value) for value in values]


def no_values(kind: str, text: str) -> ListError:
    """The error for a list that holds lists or objects, by the name of their type."""
    return ListError(
        f"a list holds {kind}s, not values: {text[:80]!r}. Write what should be the values into the column"
    )


def _element(word: str) -> Any:
    return math.nan if word == "nan" else ast.literal_eval(word.lstrip("+") if word[0] in "+-.0123456789" else word)


def spell(value: Any) -> str:
    """The one spelling of a value of JSON, as `values.as_text` spells a column of its type: `true`, 6 for 6.0."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        return str(int(value)) if value.is_integer() and abs(value) < _EXACT else repr(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def as_array(values: Sequence[Any]) -> pa.Array:
    """An Arrow array of values of JSON, even where they differ in type or have more than 64 bits.

    Those are text, by `spell`; where some are lists all are lists of text, a single value a list of one.

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
    spelt = [None if row is None else _spelt(row) for row in lists]
    return pa.array(spelt, pa.list_(pa.string()))
