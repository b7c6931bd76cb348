"""HTTP/1 responses as libevent 2.1.12 writes them (its http.c): which headers they have, and in which order."""

from email.utils import formatdate
from typing import Final

from serving.rest.handler import Answer
from serving.rest.http_request import Request

_DEFAULT_TYPE: Final = "text/html; charset=ISO-8859-1"
_PHRASES: Final = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    413: "Request Entity Too Large",
    417: "Expectation Failed",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Gateway Time-out",
}
_CLIENT_ERROR: Final = "Client Error"
"""libevent knows no phrase for the other ones from 400 on."""


def response(request: Request, answer: Answer, more: dict[str, str]) -> tuple[bytes, bool]:
    """The bytes of an answer with `more` headers, and whether the connection stays for another request."""
    body = answer.body.encode("utf-8", "surrogateescape")
    headers = {**({"Content-Type": answer.content_type} if answer.content_type else {}), **more}
    stays = _connection(request, answer, headers, len(body))
    major, minor = _version(request, answer)
    lines = [f"HTTP/{major}.{minor} {answer.status} {_PHRASES.get(answer.status, _CLIENT_ERROR)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join([*lines, "\r\n"]).encode("latin-1")
    return head if request.method == "HEAD" else head + body, stays


def _version(request: Request, answer: Answer) -> tuple[int, int]:
    """What libevent answers by itself is not of HTTP/1.0."""
    return (1, 1) if answer.ends and not all(request.version) else request.version


def _connection(request: Request, answer: Answer, headers: dict[str, str], size: int) -> bool:
    """Adds the headers about the message and its connection. Returns whether that stays."""
    asked = request.headers.get("connection", "").lower()
    is_kept, is_new = asked.startswith("keep-alive"), _version(request, answer) >= (1, 1)
    is_proxied = request.target is not None and request.target.is_proxied
    if answer.ends:
        headers["Connection"] = "close"
    if is_new:
        headers["Date"] = formatdate(usegmt=True)
    elif is_kept:
        headers["Connection"] = "keep-alive"
    if is_new or is_kept:
        headers["Content-Length"] = str(size)
    headers.setdefault("Content-Type", _DEFAULT_TYPE)
    if is_proxied:
        if request.headers.get("proxy-connection", "").lower() != "keep-alive":
            headers.pop("Connection", None)
    elif asked == "close":
        headers.pop("Connection", None)
        headers["Connection"] = "close"
    return not (answer.ends or is_proxied or asked == "close") and (request.version >= (1, 1) or is_kept)
