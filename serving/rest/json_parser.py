"""A JSON parser that is as particular as RapidJSON 1.1.0, for bodies that the standard library's refuses.

It is slow, but says of what is wrong what TensorFlow Serving says, and reads what only RapidJSON reads: a byte order
mark, `Inf`, half of a surrogate pair.
"""

import re
from typing import Any, Final, NoReturn

from serving.errors import invalid_argument

_EMPTY: Final = "The document is empty."
_VALUE: Final = "Invalid value."
_NAME: Final = "Missing a name for object member."
_COLON: Final = "Missing a colon after a name of object member."
_OBJECT: Final = "Missing a comma or '}' after an object member."
_ARRAY: Final = "Missing a comma or ']' after an array element."
_QUOTE: Final = "Missing a closing quotation mark in string."
_ESCAPE: Final = "Invalid escape character in string."
_HEX: Final = "Incorrect hex digit after \\u escape in string."
_SURROGATE: Final = "The surrogate pair in string is invalid."
_FRACTION: Final = "Miss fraction part in number."
_EXPONENT: Final = "Miss exponent in number."
_NUMBER: Final = "Number too big to be stored in double."

_SPACE: Final = re.compile(rb"[ \t\r\n]*")
_MARK: Final = re.compile(rb"\xef?\xbb?\xbf?")
_PLAIN: Final = re.compile(rb'[^"\\\x00-\x1f]*')
_WHOLE: Final = re.compile(rb"0|[1-9][0-9]*")
_DIGITS: Final = re.compile(rb"[0-9]+")
_HEX_DIGITS: Final = re.compile(rb"[0-9a-fA-F]{4}")
_SHORT: Final = {
    b'"': b'"',
    b"\\": b"\\",
    b"/": b"/",
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
}
_WORDS: Final = {b"n": (b"null", None), b"t": (b"true", True), b"f": (b"false", False)}
_INT64, _UINT64 = 1 << 63, 1 << 64


def parse(body: bytes) -> Any:
    """The JSON value that the body starts with. Raises `ServingError` (INVALID_ARGUMENT).

    Bytes that are no UTF-8 are kept, as surrogates; of two members of one name the first is.
    """
    return _Parser(body).document()


class _Parser:
    """Recursive descent over the body's bytes; a NUL ends it, as in C."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def document(self) -> Any:
        self._match(_MARK)
        self._match(_SPACE)
        return self._value(_EMPTY)

    def _value(self, otherwise: str) -> Any:
        """A value, or the error `otherwise` where none begins."""
        char = self._peek()
        if char == b"{":
            return self._object()
        if char == b"[":
            return self._array()
        if char == b'"':
            return self._string()
        if char in _WORDS:
            word, value = _WORDS[char]
            self._word(word)
            return value
        if not char or char in b"]},:":
            self._fail(otherwise)
        return self._number()

    def _object(self) -> dict[str, Any]:
        members: dict[str, Any] = {}
        self._begin()
        if self._take(b"}"):
            return members
        while True:
            if self._peek() != b'"':
                self._fail(_NAME)
            name = self._string()
            self._match(_SPACE)
            if not self._take(b":"):
                self._fail(_COLON)
            self._match(_SPACE)
            members.setdefault(name, self._value(_VALUE))
            if self._ends(b"}", _OBJECT):
                return members

    def _array(self) -> list[Any]:
        elements: list[Any] = []
        self._begin()
        if self._take(b"]"):
            return elements
        while True:
            elements.append(self._value(_VALUE))
            if self._ends(b"]", _ARRAY):
                return elements

    def _begin(self) -> None:
        self._at += 1
        self._match(_SPACE)

    def _ends(self, bracket: bytes, otherwise: str) -> bool:
        """Whether the bracket closes here; without a comma instead, the error `otherwise`."""
        self._match(_SPACE)
        if self._take(bracket):
            return True
        if not self._take(b","):
            self._fail(otherwise)
        self._match(_SPACE)
        return False

    def _string(self) -> str:
        self._at += 1
        text = bytearray()
        while True:
            text += self._match(_PLAIN)
            char = self._peek()
            if self._take(b'"'):
                return text.decode("utf-8", "surrogateescape")
            if char != b"\\":
                self._fail(_ESCAPE if char else _QUOTE)
            text += self._escape()

    def _escape(self) -> bytes:
        start = self._at
        self._at += 1
        char = self._peek()
        self._at += 1
        if char in _SHORT:
            return _SHORT[char]
        if char != b"u":
            self._fail(_ESCAPE, start)
        code = self._hex(start)
        if 0xD800 <= code <= 0xDBFF:
            low = self._hex(start) if self._take(b"\\") and self._take(b"u") else 0
            if not 0xDC00 <= low <= 0xDFFF:
                self._fail(_SURROGATE, start)
            code = 0x10000 + ((code - 0xD800) << 10) + low - 0xDC00
        return chr(code).encode("utf-8", "surrogatepass")

    def _hex(self, start: int) -> int:
        digits = self._match(_HEX_DIGITS)
        if not digits:
            self._fail(_HEX, start)
        return int(digits, 16)

    def _number(self) -> int | float:
        start = self._at
        sign = -1 if self._take(b"-") else 1
        if self._peek() == b"N":
            self._word(b"NaN")
            return float("nan")
        if self._peek() == b"I":
            self._word(b"Inf")
            if self._peek() == b"i":
                self._word(b"inity")
            return sign * float("inf")
        if not self._match(_WHOLE):
            self._fail(_VALUE)
        whole = not (self._fraction() | self._exponent())
        return self._converted(start, whole)

    def _fraction(self) -> bool:
        found = self._take(b".")
        if found and not self._match(_DIGITS):
            self._fail(_FRACTION)
        return found

    def _exponent(self) -> bool:
        found = self._take(b"e") or self._take(b"E")
        if found:
            if not self._take(b"+"):
                self._take(b"-")
            if not self._match(_DIGITS):
                self._fail(_EXPONENT)
        return found

    def _converted(self, start: int, whole: bool) -> int | float:
        text = self._body[start : self._at]
        number = float(text)
        if abs(number) == float("inf"):
            self._fail(_NUMBER, start)
        if whole and len(text) <= 20 and -_INT64 <= int(text) < _UINT64:
            return int(text)
        return number

    def _word(self, word: bytes) -> None:
        for position in range(len(word)):
            if not self._take(word[position : position + 1]):
                self._fail(_VALUE)

    def _peek(self) -> bytes:
        char = self._body[self._at : self._at + 1]
        return b"" if char == b"\0" else char

    def _take(self, char: bytes) -> bool:
        found = self._peek() == char
        self._at += found
        return found

    def _match(self, pattern: re.Pattern[bytes]) -> bytes:
        found = pattern.match(self._body, self._at)
        text = found[0] if found else b""
        self._at += len(text)
        return text

    def _fail(self, message: str, at: int | None = None) -> NoReturn:
        raise invalid_argument(f"JSON Parse error: {message} at offset: {self._at if at is None else at}")
