"""Files of text in any encoding as UTF-8 bytes without a byte order mark: what Arrow and JSON read."""

import codecs
import io
from typing import BinaryIO, Final, cast

from config.data import Table

_MARKS: Final = (  # UTF-32's begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UNICODE: Final = ("utf-8", "utf-16", "utf-32")
_PART: Final = 1 << 20
"""Bytes decoded at a time."""


def as_utf8(file: BinaryIO, table: Table, errors: str = "strict") -> BinaryIO:
    """The text of a file as UTF-8.

    A byte order mark goes, and says the encoding where the table's is one of Unicode.

    Args:
      file: Bytes in the table's `encoding`.
      table: The table.
      errors: Of decoding, as Python names them. Bytes that are UTF-8 already are passed on as they are.

    Raises:
      LookupError: If there is no such encoding.
      UnicodeError: While it is read, if the bytes are not of the encoding.
    """
    name = codecs.lookup(table.encoding).name.removesuffix("-sig")
    if not hasattr(file, "peek"):
        file = cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, file)))
    if name.startswith(_UNICODE):
        head = cast(io.BufferedReader, file).peek(4)[:4]
        mark, marked = next(((mark, marked) for mark, marked in _MARKS if head.startswith(mark)), (b"", name))
        if marked == "utf-8" and (mark or name == "utf-8"):
            file.read(len(mark))
            return file
        name = marked
    return cast(BinaryIO, io.BufferedReader(_Decoded(file, name, errors), _PART))


class _Decoded(io.RawIOBase):
    """The bytes of a file in another encoding, as UTF-8."""

    def __init__(self, file: BinaryIO, encoding: str, errors: str) -> None:
        super().__init__()
        self._file = file
        self._decoder = codecs.getincrementaldecoder(encoding)(errors)
        self._is_first, self._left = True, b""

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """Fills the buffer; the number of bytes."""
        while not self._left:
            part = self._file.read(_PART)
            text = self._decoder.decode(part, not part)
            if self._is_first and text:
                text, self._is_first = text.removeprefix("\ufeff"), False
            self._left = text.encode("utf-8", "surrogatepass")
            if not part:
                break
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size
