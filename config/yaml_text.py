"""YAML text within bounds: how deep it nests, how much its aliases stand for, and scalars that mean something.

A parser's events are counted before any tree is built of them. So a text of a few hundred bytes whose aliases stand
for billions of values ("billion laughs") is refused at once, and nothing that walks the tree later can end in a
recursion without end.
"""

from typing import Any, Final

import yaml

MAX_BYTES: Final = 1 << 20
"""Of a configuration file."""
_MAX_DEPTH: Final = 50
_MAX_VALUES: Final = 10_000
"""Each alias counts as all that it stands for."""
_CHARACTERS: Final = 100
"""So many characters of a text count as one more value."""
_LARGEST: Final = 2**63 - 1
_KINDS: Final = {"bool": "a truth value", "null": "nothing", "int": "a number", "float": "a number"}


class YamlTextError(Exception):
    """The text cannot be read; the message begins with its name, line and column."""


def compose(text: str, name: str) -> yaml.Node | None:
    """The tree of the text with the lines of its nodes; None where it is empty. Raises `YamlTextError`."""
    try:
        _check_bounds(text)
        return yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise YamlTextError(_words(error, name)) from error


def construct(root: yaml.Node | None, name: str) -> Any:
    """The values of a tree of `compose`; what it merges (`<<`) is merged in the tree, too. Raises `YamlTextError`."""
    try:
        return None if root is None else _Loader("").construct_document(root)
    except yaml.YAMLError as error:
        raise YamlTextError(_words(error, name)) from error


def kind_of(node: yaml.Node) -> str | None:
    """What a node stands for in words, where that is not text: `a truth value`; None for text and `<<`."""
    tag = str(node.tag).rpartition(":")[2]
    return None if tag in ("str", "merge") else _KINDS.get(tag, f"a {tag}")


class _RefusedError(yaml.MarkedYAMLError):
    """It is YAML, but none that a configuration may hold."""


class _Loader(yaml.SafeLoader):
    """Refuses scalars that Python cannot hold or that no file name, float or UTF-8 text can, with their place."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
        except (ValueError, TypeError, AttributeError, IndexError, OverflowError) as error:
            raise _refused(node, f"{_short(node)} is no {str(node.tag).rpartition(':')[2]}") from error
        if isinstance(value, int) and abs(value) > _LARGEST:
            raise _refused(node, f"{_short(node)} is beyond 64 bits: at most {_LARGEST}")
        if isinstance(value, str) and not _is_text(value):
            raise _refused(node, f"{_short(node)} holds a character that no UTF-8 text or file name has")
        return value


def _check_bounds(text: str) -> None:
    """Raises `yaml.YAMLError` where the text nests too deep, or is too large with its aliases written out.

    `sizes` and `depths` hold, for each anchor, how many values its node is and how deep it nests; None while it is
    open. Both are kept up to date for all open nodes on a stack.
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
                raise _refused(event, f"the alias *{event.anchor} stands inside what it stands for")
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
            raise _refused(event, f"the text is more than {_MAX_VALUES:,} values here, aliases written out")


def _refused(place: Any, problem: str) -> _RefusedError:
    return _RefusedError(problem=problem, problem_mark=place.start_mark)


def _words(error: yaml.YAMLError, name: str) -> str:
    """One line: place, problem, and what was being read."""
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
