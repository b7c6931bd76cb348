"""Text files in any encoding as UTF-8 bytes without a byte order mark, which Arrow and JSON read."""

import codecs
import io
from collections.abc import Callable
from typing import BinaryIO, Final, cast

from config.data import Table

_BYTE_ORDER_MARKS: Final = (  # UTF-32's begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PART: Final = 1 << 20
"""Bytes rewritten at a time."""


class _RewrittenFile(io.RawIOBase):
    """A binary file whose bytes a function rewrites.

    Args:
      file: The file.
      rewrite: Called with the next bytes, and with True once they are empty at the end of the file. Returns the bytes
        to pass on; it may hold some back until its next call.
    """

    def __init__(self, file: BinaryIO, rewrite: Callable[[bytes, bool], bytes]) -> None:
        super().__init__()
        self._file, self._rewrite, self._left = file, rewrite, b""

    def readable(self) -> bool:
        """Returns True."""
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """Fills the buffer and returns the number of bytes."""
        while not self._left:
            part = self._file.read(_PART)
            self._left = self._rewrite(part, not part)
            if not part:
                break
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size


def rewritten(file: BinaryIO, rewrite: Callable[[bytes, bool], bytes]) -> BinaryIO:
    """Returns a file whose bytes a function rewrites, as of `_RewrittenFile`."""
    return cast(BinaryIO, io.BufferedReader(_RewrittenFile(file, rewrite), _PART))


def as_utf8(file: BinaryIO, table: Table, errors: str = "strict", begins: bool = True) -> BinaryIO:
    """Returns the text of a file as UTF-8 without a byte order mark.

    A byte order mark decides the encoding where the table's encoding is one of Unicode.

    Args:
      file: Bytes in the table's `encoding`.
      table: The table.
      errors: How decoding treats errors, as `codecs` names it. Bytes that are UTF-8 already are passed on unchanged.
      begins: Whether the file begins here, so that a byte order mark may follow.

    Raises:
      LookupError: If there is no such encoding.
      UnicodeError: While it is read, if the bytes are not of the encoding.
    """
    name = codecs.lookup(table.encoding).name.removesuffix("-sig")
    if not hasattr(file, "peek"):
        file = cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, file)))
    if name.startswith(("utf-8", "utf-16", "utf-32")):
        head = cast(io.BufferedReader, file).peek(4)[:4] if begins else b""
        mark, marked = next((entry for entry in _BYTE_ORDER_MARKS if head.startswith(entry[0])), (b"", name))
        if marked == "utf-8" and (mark or name == "utf-8"):
            file.read(len(mark))
            return file
        name = marked
    decoder, is_first = codecs.getincrementaldecoder(name)(errors), True

    def decode(data: bytes, is_last: bool) -> bytes:
        nonlocal is_first
        text = decoder.decode(data, is_last)
        if is_first and text:
            text, is_first = text.removeprefix("\ufeff"), False
        return text.encode("utf-8", "surrogatepass")

    return rewritten(file, decode)
