"""Text that comes from data, so that it can stand in a page, a plot or a terminal and change nothing around it."""

import re
from typing import Final

_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
"""Control characters but for tab and line feed, marks that turn the direction of text, halves of surrogate pairs."""


def visible(text: str) -> str:
    """The text with control characters, marks of direction and what is no Unicode as escapes: `\\x07`, `\\u202e`.

    Tabs and line feeds stay.
    """
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)


def one_line(text: str) -> str:
    """The text as `visible` shows it, with tabs and line feeds as escapes too."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def label(text: str, limit: int = 60) -> str:
    """The text on one line, cut where it is longer than `limit` characters."""
    line = one_line(text)
    return line if len(line) <= limit else line[: limit - 1] + "…"
