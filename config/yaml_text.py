"""Parses YAML text within limits on nesting, on the size with its aliases expanded, and on scalars.

A parser's events are counted before a tree is built. A text of a few hundred bytes whose aliases expand to billions of
values ("billion laughs") is therefore rejected at once, and recursive functions on the tree are safe.
"""

from typing import Any, Final

import yaml

MAX_BYTES: Final = 1 << 20
"""The maximum size of a configuration file."""
_MAX_DEPTH: Final = 50
_MAX_VALUES: Final = 10_000
"""The maximum number of values, with aliases expanded."""
_CHARACTERS: Final = 100
"""A text counts as one more value for each so many characters."""
_LARGEST: Final = 2**63 - 1
_KINDS: Final = {"bool": "a truth value", "null": "nothing", "int": "a number", "float": "a number"}


class YamlTextError(Exception):
    """The text cannot be read; the message begins with its name, line and column."""


def compose(text: str, name: str) -> yaml.Node | None:
    """Builds the tree of the text, with the lines of its nodes; None if it is empty. Raises `YamlTextError`."""
    try:
        _check_bounds(text)
        return yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise YamlTextError(_words(error, name)) from error


def construct(root: yaml.Node | None, name: str) -> Any:
    """Returns the values of a tree of `compose`, and applies its merges (`<<`) to the tree. Raises `YamlTextError`."""
    try:
        return None if root is None else _Loader("").construct_document(root)
    except yaml.YAMLError as error:
        raise YamlTextError(_words(error, name)) from error


def kind_of(node: yaml.Node) -> str | None:
    """Describes a node that is not text, such as `a truth value`; None for text and `<<`."""
    tag = str(node.tag).rpartition(":")[2]
    return None if tag in ("str", "merge") else _KINDS.get(tag, f"a {tag}")


class _RefusedError(yaml.MarkedYAMLError):
    """The text is YAML, but exceeds the limits of a configuration."""


class _Loader(yaml.SafeLoader):
    """Rejects scalars that Python, floats, UTF-8 text or file names cannot represent, with their position."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
        except (ValueError, TypeError, AttributeError, IndexError, OverflowError) as error:
            raise _refused(node, f"{_short(node)} is not a valid {str(node.tag).rpartition(':')[2]}") from error
        if isinstance(value, int) and abs(value) > _LARGEST:
            raise _refused(node, f"{_short(node)} is beyond 64 bits: at most {_LARGEST}")
        if isinstance(value, str) and not _is_text(value):
            raise _refused(node, f"{_short(node)} holds a character that no UTF-8 text or file name has")
        return value


def _check_bounds(text: str) -> None:
    """Raises `yaml.YAMLError` if the text nests too deep, or is too large with its aliases expanded.

    `sizes` and `depths` hold the number of values and the nesting of each anchor's node; None while it is open. Both
    are kept on a stack for all open nodes.
    """
    sizes: dict[str, tuple[int, int] | None] = {}
    open_nodes: list[tuple[str | None, int]] = []
    total, deepest = 0, [0]
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, total))
            deepest.append(0)
            total += 1
            sizes |= {event.anchor: None} if event.anchor else {}
            depth = 0
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            depth = deepest.pop() + 1
            deepest[-1] = max(deepest[-1], depth)
            sizes |= {anchor: (total - before, depth)} if anchor else {}
        elif isinstance(event, yaml.AliasEvent):
            size = sizes.get(str(event.anchor), (1, 0))  # an unknown one is the composer's to refuse
            if size is None:
                raise _refused(event, f"the alias *{event.anchor} refers to a value that contains it")
            total += size[0]
            depth = size[1]
            deepest[-1] = max(deepest[-1], depth)
        elif isinstance(event, yaml.ScalarEvent):
            size = (1 + len(event.value) // _CHARACTERS, 0)
            total += size[0]
            depth = 0
            sizes |= {event.anchor: size} if event.anchor else {}
        else:
            continue
        if len(open_nodes) + depth > _MAX_DEPTH:
            raise _refused(event, f"the text nests more than {_MAX_DEPTH} levels deep here")
        if total > _MAX_VALUES:
            raise _refused(event, f"the text is more than {_MAX_VALUES:,} values here, with its aliases expanded")


def _refused(place: Any, problem: str) -> _RefusedError:
    return _RefusedError(problem=problem, problem_mark=place.start_mark)


def _words(error: yaml.YAMLError, name: str) -> str:
    """Formats an error as one line: position, problem, and what was being read."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        context = f" ({error.context})" if error.context else ""
        return f"{place}: {'' if isinstance(error, _RefusedError) else 'is not YAML: '}{error.problem}{context}"
    return f"{name}: is not YAML: {' '.join(str(error).split())}"


def _short(node: yaml.Node, limit: int = 60) -> str:
    text = repr(node.value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _is_text(value: str) -> bool:
    return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)
