"""Whether personal columns can be hashed, are hashed wherever they stand, and whether there is a key."""

import stat
from collections.abc import Iterator
from pathlib import Path

from config import Config, paths
from config.data import Table
from config.errors import Problem, suggestion
from pipeline.checks.column_uses import Use, column_uses
from serving.client.personal import PersonalKeyError, personal_key

_HASHABLE = ("user id", "categorical feature", "cross feature")
_TABLES = ("interactions", "items", "users")


def check_personal(config: Config) -> Iterator[Problem]:
    """Returns the problems of the tables' `personal` columns.

    Hashes have no order, no parts and no words, so that columns of numbers, times, lists and texts, and columns of
    expressions, cannot be personal. An item's id cannot, since responses tell it.
    """
    for name in _TABLES:
        table = getattr(config.data, name)
        if table is not None:
            uses = list(column_uses(config, name))
            for index, column in enumerate(table.personal):
                location = ("data", name, "personal", index)
                yield from ((location, problem) for problem in _column_problems(column, uses))
    yield from _as_in_the_log(config)


def check_personal_key(config: Config) -> Iterator[Problem]:
    """Returns the problem of personal columns without a key in the environment."""
    for name in _TABLES:
        table: Table | None = getattr(config.data, name)
        if table is not None and table.personal:
            try:
                personal_key()
            except PersonalKeyError as error:
                yield ("data", name, "personal"), f"needs a key: {error}"
            return


def check_modes(config: Config) -> Iterator[str]:
    """Returns a warning where there are personal columns and everybody can read the pipeline's folder."""
    home = Path(paths.home(config))
    tables = (getattr(config.data, name) for name in _TABLES)
    if any(table.personal for table in tables if table is not None) and home.is_dir():
        mode = stat.S_IMODE(home.stat().st_mode)
        if mode & stat.S_IRWXO:
            yield (
                f"{home} is open to all users of this machine (mode {mode:o}), and there are personal columns: "
                f"`chmod o= {home}`"
            )


def _column_problems(column: str, uses: list[Use]) -> Iterator[str]:
    found = [use for use in uses if use.column == column]
    if not found:
        read = list(dict.fromkeys(use.column for use in uses))
        yield (
            f"should name a column that the configuration reads from the table ({', '.join(read)}). "
            f"{suggestion(column, read)}Received: {column!r}"
        )
    for use in found:
        if use.role not in _HASHABLE and not use.role.startswith("session of "):
            key = ".".join(map(str, use.location))
            yield f"should be a column of user ids or categories. Received: {column!r}, the {use.role} (`{key}`)"
            return


def _as_in_the_log(config: Config) -> Iterator[Problem]:
    """Returns the problem of user ids that are hashed in one of the tables only."""
    log, users = config.data.interactions, config.data.users
    if users is None or (log.user in log.personal) == (users.id in users.personal):
        return
    if log.user in log.personal:
        yield ("data", "users", "personal"), f"should name {users.id!r} too, as the log's {log.user!r} is personal"
    else:
        yield (
            ("data", "interactions", "personal"),
            f"should name {log.user!r} too, as the users' {users.id!r} is personal",
        )
