"""The page docs/configuration.md, written from the sections themselves by `python -m config.reference`."""

import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from config.base import Section
from config.schema import Config

_INTRODUCTION = """# The configuration file

Every key of the YAML file. A key without a default has to be given. Unknown keys are errors. Written from
`config/` by `python -m config.reference > docs/configuration.md`.

Keys are text and stand once in their section, integers have 64 bits at most, other numbers are finite. A file has
at most 1 MiB, 50 levels and 10,000 values, each alias counted as all that it stands for; an expression at most 10,000
characters and 100 operations inside each other.
"""


def reference() -> str:
    """The whole page, Markdown."""
    return "\n".join([_INTRODUCTION, *(part for section in sections(Config) for part in _section(section))])


def sections(root: type[Section]) -> list[type[Section]]:
    """The root and every section that it reaches, each once, in the order of the file."""
    found: dict[type[Section], None] = {root: None}
    for section in found.copy():
        for field in section.model_fields.values():
            for child in _sections_in(field.annotation):
                found.update(dict.fromkeys(sections(child)))
    return list(found)


def _sections_in(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for argument in get_args(annotation):
        yield from _sections_in(argument)


def _section(section: type[Section]) -> Iterator[str]:
    yield f"## {section.__name__}\n"
    yield f"{_one_line(section.__doc__ or '')}\n"
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    for name, field in section.model_fields.items():
        yield f"| `{name}` | {_escape(_type(field.annotation))} | {_escape(_default(field))} | {_meaning(field)} |"
    yield ""


def _meaning(field: FieldInfo) -> str:
    bounds = ", ".join(_bound(rule) for rule in field.metadata if _bound(rule))
    return _escape(" ".join(part for part in (_one_line(field.description or ""), bounds and f"({bounds})") if part))


def _bound(rule: Any) -> str:
    signs = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most", "min_length": "length at least"}
    return ", ".join(f"{word} {getattr(rule, sign)}" for sign, word in signs.items() if hasattr(rule, sign))


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "see there"
    if field.default is PydanticUndefined:
        return ""
    return "its defaults" if isinstance(field.default, Section) else f"`{_yaml(field.default)}`"


def _yaml(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(_yaml(item) for item in value)}]"
    return str(value)


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin is Literal:
        return ", ".join(f"`{argument}`" for argument in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_type(argument) for argument in arguments if argument is not type(None))
    if origin is tuple:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"mapping of {_type(arguments[0])} to {_type(arguments[1])}"
    name = typing.cast(str, annotation.__name__)
    return f"[{name}](#{name.lower()})" if issubclass(annotation, Section) else name


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _escape(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(reference(), end="")
