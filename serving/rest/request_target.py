"""The target of a request as libevent reads it: a URI (RFC 3986), of which path, query and fragment count."""

import re
from typing import Final

_ESCAPED: Final = "%[0-9A-Fa-f]{2}"
_NAME: Final = r"[A-Za-z0-9._~!$&'()*+,;=-]"
_PATH: Final = rf"(?:{_NAME}|[:@/]|{_ESCAPED})*"
_QUERY: Final = rf"(?:{_NAME}|[:@/?]|{_ESCAPED})*"
_AUTHORITY: Final = rf"(?:(?:{_NAME}|:|{_ESCAPED})*@)?(?:\[[0-9A-Fa-f:.]+\]|(?:{_NAME}|{_ESCAPED})*)(?::[0-9]*)?"
_TARGET: Final = re.compile(
    "(?:[A-Za-z][A-Za-z0-9+.-]*:|(?![^/?#]*:))"  # a scheme; without one, no colon before the first slash
    rf"(?://{_AUTHORITY}(?=[/?#]|\Z)|(?!//))"
    rf"(?P<rest>{_PATH}(?:\?{_QUERY})?(?:#{_QUERY})?)"
)


def path_of(request_line: str) -> str | None:
    """The path with what follows it; None where the line is none of HTTP/1, or its target no URI.

    What stands before the path is dropped: of `//models/x` that is `//models`.
    """
    words = request_line.split()
    match = _TARGET.fullmatch(words[1]) if len(words) == 3 else None
    return match["rest"] if match else None
