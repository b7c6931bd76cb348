"""HTTP/1 requests as libevent 2.1.12 reads them (its http.c): what it takes, and by which status it refuses."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from serving.rest.request_target import Target, may_be_target, target_of

_METHODS: Final = frozenset({"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"})
_SHORTEST: Final = len("GET / HTTP/1.0")
_VERSION: Final = re.compile(r"HTTP/([0-9]{1,9})\.([0-9]{1,9})")
_DECIMAL: Final = re.compile(r"\s*\+?([0-9]+)", re.ASCII)
_HEX: Final = re.compile(r"\s*\+?(?:0[xX](?=[0-9a-fA-F]))?([0-9a-fA-F]+)(?: .*)?", re.ASCII | re.DOTALL)
_BROKEN: Final = re.compile(r"\r(?![\r \t])")
"""A line end inside a line that no continuation follows."""
_BLANKS: Final = " \t"
_LARGEST_HEAD: Final = 1 << 20
_MOST_DIGITS: Final = 18
_PART: Final = 1 << 20
"""So many bytes are asked for at once: memory is taken for what came, not for what was announced."""


class RefusedError(Exception):
    """The request is answered by a status, and its connection ends."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class EndedError(Exception):
    """The connection ended before the request did."""


@dataclass
class Request:
    """What has been read of a request.

    Attributes:
        version: major and minor.
        target: None where it is no URI.
        headers: the first value of each name, names in lower case.
    """

    method: str = ""
    version: tuple[int, int] = (1, 1)
    target: Target | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Reader:
    """Reads requests from a connection."""

    def __init__(self, stream: BinaryIO, send_continue: Callable[[Request], None]) -> None:
        """`send_continue` is called where the caller wants to be told that the body may come."""
        self._stream = stream
        self._send_continue = send_continue

    def read(self, request: Request) -> Target:
        """Fills the request in, and returns its target. Raises `RefusedError`, `EndedError` or `OSError`."""
        self._first_line(request)
        self._headers(request.headers, 400)
        if request.method not in _METHODS:
            raise RefusedError(501, f"Unsupported method ({request.method!r})")
        if request.method != "HEAD":
            request.body = self._body(request)
        if request.target is None:
            raise RefusedError(400, "The request's target is no URI")
        return request.target

    def _first_line(self, request: Request) -> None:
        """The version is kept only of a line that can be read."""
        line = self._line(400).rstrip(" ")
        method, _, rest = line.partition(" ")
        text, _, version = rest.rpartition(" ")
        found = _VERSION.fullmatch(version)
        target = target_of(text)
        if len(line) < _SHORTEST or not text or not found or int(found[1]) > 1 or not (target or may_be_target(text)):
            raise RefusedError(400, "The request line cannot be read")
        request.method, request.version, request.target = method, (int(found[1]), int(found[2])), target

    def _headers(self, headers: dict[str, str], status: int) -> None:
        """Adds headers up to an empty line; what is none is refused by `status`."""
        pairs, left = list[tuple[str, list[str]]](), _LARGEST_HEAD
        while line := self._line(status):
            left -= len(line)
            name, _, value = line.partition(":")
            if line[0] in _BLANKS and pairs and left >= 0:
                pairs[-1][1].append(line.strip(_BLANKS))
            elif left < 0 or not _is_header(line):
                raise RefusedError(status, "A header cannot be read")
            else:
                pairs.append((name.lower(), [value.lstrip(" ").rstrip(_BLANKS)]))
        for name, values in pairs:
            headers.setdefault(name, " ".join(values))

    def _body(self, request: Request) -> bytes:
        chunked = request.headers.get("transfer-encoding", "").lower() == "chunked"
        size = 0 if chunked else _size(_DECIMAL, request.headers.get("content-length", "0"), 10, 400)
        if not chunked and not size:
            return b""
        expected = request.headers.get("expect")
        if expected is not None and request.version >= (1, 1):
            if expected.lower() != "100-continue":
                raise RefusedError(417, f"Nothing is known of {expected!r}")
            self._send_continue(request)
        return self._chunks(request) if chunked else self._bytes(size)

    def _chunks(self, request: Request) -> bytes:
        """A size, so many bytes, and again, each size on a line; after that of nothing there may be more headers."""
        chunks = []
        while True:
            line = self._line(413)
            if not line:
                continue
            size = _size(_HEX, line, 16, 413)
            if not size:
                break
            chunks.append(self._bytes(size))
        self._headers(request.headers, 413)
        return b"".join(chunks)

    def _bytes(self, size: int) -> bytes:
        parts = []
        while size:
            part = self._stream.read(min(size, _PART))
            if not part:
                raise EndedError
            parts.append(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _line(self, status: int) -> str:
        """A line without its end, up to its first NUL as in C."""
        line = self._stream.readline(_LARGEST_HEAD)
        if not line.endswith(b"\n"):
            if len(line) == _LARGEST_HEAD:
                raise RefusedError(status, "A line is too long")
            raise EndedError
        line = line[:-2] if line.endswith(b"\r\n") else line[:-1]
        return line.partition(b"\0")[0].decode("latin-1")


def _is_header(line: str) -> bool:
    name, colon, value = line.partition(":")
    return bool(colon) and line[0] not in _BLANKS and "\r" not in name and not _BROKEN.search(value)


def _size(pattern: re.Pattern[str], text: str, base: int, status: int) -> int:
    """A count of bytes. Raises `RefusedError`: 413 for one that nobody will ever send."""
    found = pattern.fullmatch(text)
    if found is None:
        raise RefusedError(status, f"{text!r} is no size")
    if len(found[1].lstrip("0")) > _MOST_DIGITS:
        raise RefusedError(413, f"{text!r} is too large a size")
    return int(found[1], base)
