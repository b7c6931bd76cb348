"""The target of a request as libevent reads it: a URI (RFC 3986), of which path, query and fragment count."""

import re
import socket
from dataclasses import dataclass
from typing import Final

_ESCAPED: Final = "%[0-9A-Fa-f]{2}"
_NAME: Final = r"[A-Za-z0-9._~!$&'()*+,;=-]"
_PATH: Final = rf"(?:{_NAME}|[:@/]|{_ESCAPED})*"
_QUERY: Final = rf"(?:{_NAME}|[:@/?]|{_ESCAPED})*"
_HOST: Final = rf"(?P<host>\[[^\[\]/?#@]+\]|(?:{_NAME}|{_ESCAPED})*)"
_AUTHORITY: Final = rf"(?:(?:{_NAME}|:|{_ESCAPED})*@)?{_HOST}(?::(?P<port>[0-9]*))?"
_START: Final = (
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):|(?![^/?#]*:))"  # without a scheme, no colon before the first slash
    rf"(?://{_AUTHORITY}(?=[/?#]|\Z)|(?!//))"
)
_STRICT: Final = re.compile(rf"{_START}(?P<rest>{_PATH}(?:\?{_QUERY})?(?:#{_QUERY})?)")
_LENIENT: Final = re.compile(rf"{_START}.*", re.DOTALL)
_FUTURE: Final = re.compile(rf"v[0-9A-Fa-f]+\.(?:(?!%){_NAME}|:)*")
_LARGEST_PORT: Final = 65535


@dataclass(frozen=True)
class Target:
    """Where a request goes.

    Attributes:
        path: with what follows it; what stands before it is dropped: of `//models/x` that is `//models`.
        is_proxied: whether it names a host by http or https: the connection ends with the answer.
    """

    path: str
    is_proxied: bool


def target_of(text: str) -> Target | None:
    """The target; None where it is no URI."""
    match = _STRICT.fullmatch(text)
    if match is None or not _has_address(match):
        return None
    scheme = match["scheme"] or ""
    return Target(match["rest"], match["host"] is not None and scheme.lower() in ("http", "https"))


def may_be_target(text: str) -> bool:
    """Whether what stands before the path is a URI's: a request without it is refused before its headers are read."""
    match = _LENIENT.fullmatch(text)
    return match is not None and _has_address(match)


def _has_address(match: re.Match[str]) -> bool:
    """Whether host and port, if there are any, may be."""
    host, port = match["host"] or "", match["port"] or ""
    if int(port.lstrip("0")[:6] or 0) > _LARGEST_PORT:
        return False
    return not host.startswith("[") or bool(_FUTURE.fullmatch(host[1:-1])) or _is_ipv6(host[1:-1])


def _is_ipv6(text: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6, text)
    except (OSError, ValueError):
        return False
    return True
