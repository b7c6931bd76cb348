"""Messages for pydantic's validation errors: the key, its value, what is allowed, and what was probably meant."""

import difflib
import re
import types
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import ValidationError

from config.base import Section
from config.schema import Config
from config.yaml_text import compose, construct, kind_of

Location = Sequence[str | int]
"""Keys and list indexes from the top, as in a pydantic error."""

Problem = tuple[Location, str]
"""A key, and what is wrong with it."""


def show(location: Location) -> str:
    """Formats a location as people write it: `features.user[0].kind`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{_short_key(str(part))}" for part in location)
    return text.lstrip(".") or "(top level)"


def _short_key(key: str, limit: int = 80) -> str:
    return key if len(key) <= limit else key[: limit - 3] + "..."


class Source:
    """The text of a configuration, and the lines of its keys.

    Args:
      text: YAML.
      name: The file's name, for messages.

    Raises:
      YamlTextError: The text is not YAML, or exceeds the limits of a configuration.
    """

    def __init__(self, text: str, name: str):
        self._name = name
        self._root = compose(text, name)

    def problem(self, location: Location, message: str) -> str:
        """Formats an error as file, line if known, key and message."""
        line, path = self._find(location)
        place = self._name if line is None else f"{self._name}:{line}"
        return f"{place}: `{show(path)}`: {message}"

    def values(self) -> Any:
        """Returns the values of the text. Raises `YamlTextError`."""
        return construct(self._root, self._name)

    def key_problems(self) -> list[str]:
        """Returns a problem for each key that is not text, or is repeated in its mapping (YAML keeps the last)."""
        return [] if self._root is None else _key_problems(self._root, self._name, ())

    def _find(self, location: Location) -> tuple[int | None, list[str | int]]:
        """Returns the line of the deepest part of the location in the text, and the location without union tags."""
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
    """Returns the nodes of a key or list entry and of its value."""
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == str(part)), None)
    return None


def _tag(node: yaml.Node | None) -> str | None:
    """Returns the value of `kind`, which pydantic includes in the location of an error inside a union."""
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
                problems.append(f"{name}:{line}: `{show(here)}`: is repeated; first in line {first[text]}")
            first.setdefault(text, line)
            problems += _key_problems(value, name, here)
    return problems


def _text(key: yaml.Node) -> str:
    """Returns a key as it is written; a list or mapping in its place by its kind."""
    return str(key.value) if isinstance(key, yaml.ScalarNode) else f"({kind_of(key)})"


def allowed_keys(location: Sequence[str | int]) -> list[str]:
    """Returns the keys of the section at a pydantic error's location (union tags included); none if it is not a
    section."""
    candidates: list[Any] = [Config]
    for part in location:
        candidates = [child for candidate in candidates for child in _children(candidate, part)]
    return [key for candidate in candidates for key in candidate.model_fields] if _is_section(candidates) else []


def suggestion(found: str, allowed: Iterable[str]) -> str:
    """Returns `Did you mean ...? ` if an allowed name is spelt similarly, else an empty text."""
    by_letters = {_letters(name): name for name in reversed(list(allowed))}
    close = difflib.get_close_matches(_letters(found), by_letters, n=1)
    return f"Did you mean `{by_letters[close[0]]}`? " if close else ""


def _letters(name: str) -> str:
    """Returns the name in lower case without separators."""
    return "".join(filter(str.isalnum, name.casefold())) or name


def _is_section(candidates: list[Any]) -> bool:
    return len(candidates) == 1 and isinstance(candidates[0], type) and issubclass(candidates[0], Section)


def _children(annotation: Any, part: str | int) -> list[Any]:
    """Returns the types under a key, an index or a union's tag."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return _field(annotation, part)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is dict:
        return _options(arguments[1])
    if origin is tuple:
        return _options(arguments[0])
    return []


def _field(section: type[Section], part: str | int) -> list[Any]:
    if str(part) in section.model_fields:
        return _options(section.model_fields[str(part)].annotation)
    kind = section.model_fields.get("kind")
    return [section] if kind is not None and part in get_args(kind.annotation) else []


def _options(annotation: Any) -> list[Any]:
    """Returns the members of a union, or the type itself."""
    if get_origin(annotation) is Annotated:
        return _options(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [option for member in get_args(annotation) for option in _options(member)]
    return [] if annotation is type(None) or get_origin(annotation) is Literal else [annotation]


def describe(error: ValidationError, source: Source, limit: int) -> list[str]:
    """Returns a message for each of the first `limit` problems: file, line, key, value, allowed values."""
    return [source.problem(e["loc"], _WORDS.get(e["type"], _other)(e)) for e in error.errors()[:limit]]


def _unknown_key(error: Any) -> str:
    allowed = allowed_keys(error["loc"][:-1])
    return f"unknown key. {suggestion(str(error['loc'][-1]), allowed)}Allowed: {', '.join(allowed)}"


def _missing_key(error: Any) -> str:
    return "is required and missing"


def _no_section(error: Any) -> str:
    return f"should hold keys: {', '.join(allowed_keys(error['loc']))}. Received: {_short(error['input'])}"


def _wrong_choice(error: Any) -> str:
    allowed = re.findall(r"'([^']*)'", error["ctx"].get("expected_tags") or error["ctx"]["expected"])
    found = error["ctx"].get("tag", error["input"])
    where = "`kind` " if "tag" in error["ctx"] else ""
    return f"{where}should be one of {', '.join(allowed)}. {suggestion(str(found), allowed)}Received: {_short(found)}"


def _no_kind(error: Any) -> str:
    return f"needs the key `kind`. Received: {_short(error['input'])}"


def _rule(error: Any) -> str:
    text = str(error["ctx"]["error"])
    return text if "Received" in text else f"{text}. Received: {_short(error['input'])}"


def _no_text(error: Any) -> str:
    found = error["input"]
    if isinstance(found, bool):
        return f"should be text, and to YAML (on, off, yes, no, true, false) it is {found}. Put it in quotes"
    if found is None or isinstance(found, int | float | date):
        return f"should be text, and to YAML it is {type(found).__name__} {found!r}. Put it in quotes"
    return _other(error)


def _wrong_name(error: Any) -> str:
    place, found = error["loc"], str(error["input"])
    hint = ""
    if place[0] == "features" and place[-1] == "name":
        name = "_".join(re.findall(r"[a-z0-9]+", found.lower())).lstrip("0123456789_") or "feature"
        hint = f"Give the feature a name such as {name!r}; `column: {found}` reads it. "
    return f"should match pattern {error['ctx']['pattern']!r}. {hint}Received: {_short(found)}"


def _other(error: Any) -> str:
    text = error["msg"].replace("Input should be", "should be").replace("String should", "should")
    return f"{text}. Received: {_short(error['input'])}"


def _short(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


_WORDS: dict[str, Callable[[Any], str]] = {
    "extra_forbidden": _unknown_key,
    "missing": _missing_key,
    "model_type": _no_section,
    "literal_error": _wrong_choice,
    "union_tag_invalid": _wrong_choice,
    "union_tag_not_found": _no_kind,
    "value_error": _rule,
    "string_type": _no_text,
    "string_pattern_mismatch": _wrong_name,
}
