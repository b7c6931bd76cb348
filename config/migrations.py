"""Configurations of earlier forms: what was renamed since, and the form's version in the file (`version`)."""

import re
from collections.abc import Mapping
from typing import Any, Final

VERSION: Final = 1
"""Of the form that this package reads. It rises when a key is renamed or means something else."""

_TASK: Final = r"tasks\.[^.]+"
_RENAMED: Final[dict[int, tuple[tuple[str, str, str], ...]]] = {
    1: (
        (_TASK, "habits", "baseline"),
        (rf"{_TASK}\.baseline", "agreement", "correlation"),
        (rf"{_TASK}\.baseline", "mood", "session_bias"),
        (rf"{_TASK}\.baseline\.weights", "levels", "bias"),
        (rf"{_TASK}\.baseline\.weights", "agreement", "correlation"),
        (rf"{_TASK}\.baseline\.weights", r"mood_(\d+)", r"session_bias_\1"),
    ),
}
"""By the version that renamed them, in the order in which they are applied: patterns of a section's dotted path and of
the key in it, and the new key."""


class VersionError(Exception):
    """The version is none that this package reads. The message says what was found, and what to do."""


def migrate(values: Any) -> tuple[Any, list[str]]:
    """Brings the values of a file to the form that this package reads.

    Args:
      values: Nested dictionaries and lists, as YAML gives them.

    Returns:
      The values in the new form, and a sentence for each key that was renamed.

    Raises:
      VersionError: The file is of a later form, or its version is no positive integer.
    """
    if not isinstance(values, dict):
        return values, []
    version = values.get("version", 0)
    if version not in range(VERSION + 1) or isinstance(version, bool):
        raise VersionError(
            f"should be {VERSION} or less, the form that this package reads. Received: {version!r}. A later package "
            "may read it; CHANGELOG.md tells what changed"
        )
    notices: list[str] = []
    for step in range(version + 1, VERSION + 1):
        for section, key, new in _RENAMED[step]:
            values = _renamed(values, "", (section, key, new), notices)
    return values, notices


def _renamed(value: Any, path: str, change: tuple[str, str, str], notices: list[str]) -> Any:
    """Returns a value with the keys that match renamed, except where the new key is there too.

    Args:
      value: The value at `path`.
      path: Dotted; empty for the whole file.
      change: An entry of `_RENAMED`.
      notices: Is extended.
    """
    if not isinstance(value, Mapping):
        return value
    section, old, new = change
    is_section = re.fullmatch(section, path) is not None
    result: dict[Any, Any] = {}
    for key, own in value.items():
        found = re.fullmatch(old, str(key)) if is_section else None
        name = found.expand(new) if found else key
        if name in value and name != key:
            name = key  # both are there: validation names the old one, which is unknown
        if name != key:
            notices.append(f"`{path}.{key}` is now `{path}.{name}`")
        result[name] = _renamed(own, f"{path}.{name}" if path else str(name), change, notices)
    return result
