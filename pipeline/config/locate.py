"""Where in the YAML text a key stands, for error messages: `file:line: `key`: ...`."""

from collections.abc import Sequence
from typing import Any

import yaml

from pipeline.config.yaml_text import compose, construct, kind_of

Location = Sequence[str | int]
"""Keys and list indexes from the top, as in a pydantic error."""

Problem = tuple[Location, str]
"""The key, and what is wrong with it."""


def show(location: Location) -> str:
    """The location as a person writes it: `features.user[0].kind`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{_short(str(part))}" for part in location)
    return text.lstrip(".") or "(top level)"


def _short(key: str, limit: int = 80) -> str:
    return key if len(key) <= limit else key[: limit - 3] + "..."


class Source:
    """The text of a configuration, and the lines of its keys.

    Args:
      text: YAML.
      name: Of the file, in messages.

    Raises:
      YamlTextError: It is not YAML, or is beyond what a configuration may hold.
    """

    def __init__(self, text: str, name: str):
        self._name = name
        self._root = compose(text, name)

    def problem(self, location: Location, message: str) -> str:
        """One line (or block) of an error: file, line where known, key, message."""
        line, path = self._find(location)
        place = self._name if line is None else f"{self._name}:{line}"
        return f"{place}: `{show(path)}`: {message}"

    def values(self) -> Any:
        """What the text stands for. Raises `YamlTextError`."""
        return construct(self._root, self._name)

    def key_problems(self) -> list[str]:
        """A problem for each key that is no text, or stands twice in the same mapping (YAML would keep the last)."""
        return [] if self._root is None else _key_problems(self._root, self._name, ())

    def _find(self, location: Location) -> tuple[int | None, list[str | int]]:
        """The line of the deepest part of the location that the text has, and the location without union tags."""
        node, line, path = self._root, None, []
        for position, part in enumerate(location):
            found = _child(node, part)
            if found is None and position < len(location) - 1 and _tag(node) == part:
                continue
            path.append(part)
            key, node = found or (None, None)
            line = key.start_mark.line + 1 if key else line
        return line, path


def _child(node: yaml.Node | None, part: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """The node that holds the position of a key or list entry, and the node of its value."""
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == str(part)), None)
    return None


def _tag(node: yaml.Node | None) -> str | None:
    """The value of `kind`: pydantic puts it into the location of an error inside a union."""
    found = _child(node, "kind")
    return found[1].value if found else None


def _key_problems(node: yaml.Node, name: str, path: tuple[str | int, ...]) -> list[str]:
    problems: list[str] = []
    if isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            problems += _key_problems(value, name, (*path, index))
    elif isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            text, line = _text(key), key.start_mark.line + 1
            here = (*path, text)
            if kind := kind_of(key):
                quoted = f' Write it in quotes: "{text}"' if isinstance(key, yaml.ScalarNode) else ""
                problems.append(f"{name}:{line}: `{show(here)}`: should be text, and YAML reads it as {kind}.{quoted}")
            elif text in first:
                problems.append(f"{name}:{line}: `{show(here)}`: stands twice; first in line {first[text]}")
            first.setdefault(text, line)
            problems += _key_problems(value, name, here)
    return problems


def _text(key: yaml.Node) -> str:
    """A key as it is written; a list or mapping in its place by what it is."""
    return str(key.value) if isinstance(key, yaml.ScalarNode) else f"({kind_of(key)})"
