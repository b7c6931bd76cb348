"""The database of the pipeline's ML Metadata: the address of a server, as `pipeline.metadata` writes it."""

import re
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

_PORTS: Final = {"postgresql": 5432, "mysql": 3306}
PASSWORDS: Final = {"postgresql": "PGPASSWORD", "mysql": "MYSQL_PWD"}
"""The environment variables with the passwords, those of the databases' own clients."""
_OPTIONS: Final = {
    "postgresql": ("host", "sslmode", "sslcert", "sslkey", "sslrootcert"),
    "mysql": ("socket", "key", "cert", "ca", "capath", "cipher"),
}
"""Parameters of the address: a UNIX socket (`host`: its folder; `socket`: its file), and what encrypts."""


@dataclass(frozen=True)
class Database:
    """A database on a server.

    Example:
      >>> Database.parse("postgresql://tfx@db.internal/recommender?sslmode=verify-full").port
      5432
    """

    kind: Literal["postgresql", "mysql"]
    host: str
    port: int
    user: str
    name: str
    options: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, address: str) -> "Database":
        """Parses `postgresql://user@host:port/name?option=value`, or `mysql://...`.

        Raises:
          ValueError: The address has another form, or holds a password: configurations are kept with the artifacts.
        """
        parts = urlsplit(address)
        kind: Any = parts.scheme
        if kind not in _PORTS:
            raise ValueError(f"should begin with postgresql:// or mysql://. Received: {_hidden(address)!r}")
        if parts.password is not None:
            raise ValueError(
                f"should not hold the password: the environment variable {PASSWORDS[kind]} does. "
                f"Received: {_hidden(address)!r}"
            )
        try:
            port = parts.port or _PORTS[kind]
            options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        except ValueError as error:
            raise ValueError(f"is not an address ({error}). Received: {address!r}") from error
        unknown = sorted(set(options) - set(_OPTIONS[kind]))
        if unknown:
            allowed = ", ".join(_OPTIONS[kind])
            raise ValueError(f"has an unknown parameter: {', '.join(unknown)}. Allowed for {kind}: {allowed}")
        host = parts.hostname or options.get("host") or options.get("socket") or ""
        name = unquote(parts.path.removeprefix("/"))
        if not host or not parts.username or not re.fullmatch(r"[^/\s]+", name):
            raise ValueError(f"should be {kind}://user@host:port/database. Received: {address!r}")
        return cls(kind, host, port, unquote(parts.username), name, options)

    def __str__(self) -> str:
        """Returns the address without its options."""
        return f"{self.kind}://{self.user}@{self.host}:{self.port}/{self.name}"


def _hidden(address: str) -> str:
    """Returns the address without its password."""
    return re.sub(r"(?<=:)[^:/@]*(?=@)", "***", address)
