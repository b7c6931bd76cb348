"""A JSON value as an error shows it: up to about 256 bytes, as RapidJSON 1.1.0 prints."""

import json
import sys
from collections.abc import Iterator
from typing import Any, Final

from serving.rest import grisu

_LIMIT: Final = 256
_CONTROLS: Final = {ord(char): f"\\{name}" for char, name in zip('"\\\b\f\n\r\t', '"\\bfnrt', strict=True)}
_ESCAPES: Final = {code: f"\\u{code:04X}" for code in range(0x20)} | _CONTROLS
_WHOLE: Final = range(-(1 << 63), 1 << 64)
"""What RapidJSON keeps as a whole number; others become floats."""


def show(value: Any) -> str:
    """The value's text. A token that begins before the limit is shown in full, and a number that is none ends it."""
    shown, size = list[str](), 0
    for token in _tokens(value, 0):
        if token is None or size >= _LIMIT:
            break
        shown.append(token)
        size += len(token.encode("utf-8", "surrogateescape"))
    return "".join(shown)


def quoted(text: str) -> str:
    """The string in quotation marks; escapes have upper-case digits."""
    found = json.dumps(text, ensure_ascii=False)
    return f'"{text.translate(_ESCAPES)}"' if "\\u00" in found else found


def new_line(depth: int) -> str:
    """A line's end, and the indentation of the next."""
    return "\n" + "    " * depth


def _tokens(value: Any, depth: int, before: str = "") -> Iterator[str | None]:
    """The tokens, each with what stands before it; None after what stands before a number that is none."""
    if isinstance(value, list):
        yield f"{before}["
        for position, element in enumerate(value):
            yield from _tokens(element, depth + 1, ", " if position else "")
        yield "]"
    elif isinstance(value, dict):
        yield f"{before}{{"
        for position, (name, member) in enumerate(value.items()):
            yield f"{',' if position else ''}{new_line(depth + 1)}{quoted(name)}"
            yield from _tokens(member, depth + 1, ": ")
        yield f"{new_line(depth) if value else ''}}}"
    else:
        yield from _leaf(value, before)


def _leaf(value: Any, before: str) -> Iterator[str | None]:
    if isinstance(value, str):
        yield before + quoted(value)
    elif value is None or isinstance(value, bool) or (isinstance(value, int) and value in _WHOLE):
        yield before + json.dumps(value)
    elif abs(value) <= sys.float_info.max:
        yield before + _float(float(value))
    else:
        yield before
        yield None


def _float(value: float) -> str:
    """The digits that say it, without an exponent where the point is near."""
    if value == 0:
        return str(value)
    text, power = grisu.digits(abs(value))
    point = len(text) + power  # the value is 0.TEXT x 10^point
    if power >= 0 and point <= 21:
        text = f"{text}{'0' * power}.0"
    elif 0 < point <= 21:
        text = f"{text[:point]}.{text[point:]}"
    elif -6 < point <= 0:
        text = f"0.{'0' * -point}{text}"
    else:
        text = f"{text[0]}{'.' if text[1:] else ''}{text[1:]}e{point - 1}"
    return f"-{text}" if value < 0 else text
