"""What went wrong, in the words that a person needs: an exception without its stack."""

import re
from typing import Final

_TRACEBACK: Final = "Traceback (most recent call last):"
_RAISED: Final = re.compile(
    r"^(?:[a-z_]\w*\.)*(?P<type>[A-Za-z_]\w*(?:Error|Exception|Exit|Interrupt|Failed|Exhausted))(?:: |:?$)"
)
_BEAM_STEP: Final = re.compile(r" \[while running '[^']*'\]")
_NAMED: Final = frozenset(
    ("KeyError", "IndexError", "TypeError", "AttributeError", "AssertionError", "ZeroDivisionError", "NameError")
)
"""Mistakes of a program, whose messages say little without the name."""


def headline(error: BaseException) -> str:
    """The exception's message, without stack traces (Beam and TFX put them into messages) and names of steps."""
    text = _BEAM_STEP.sub("", str(error)).strip()
    if _TRACEBACK in text:
        return _last_raised(text)
    return _with_name(type(error).__name__, text)


def _last_raised(text: str) -> str:
    lines = text.splitlines()
    raised = [(index, found) for index, line in enumerate(lines) if (found := _RAISED.match(line))]
    if not raised:
        return lines[-1].strip()
    index, found = raised[-1]
    message = [lines[index][found.end() :]]
    for line in lines[index + 1 :]:
        if line.startswith((_TRACEBACK, "During handling", "The above exception")):
            break
        message.append(line)
    return _with_name(found["type"], "\n".join(message).strip())


def _with_name(name: str, text: str) -> str:
    if not text:
        return name
    return f"{name}: {text}" if name in _NAMED else text
