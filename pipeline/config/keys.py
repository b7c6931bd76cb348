"""Which keys a section of the YAML file may hold, and which of them a misspelt one may have meant."""

import difflib
import types
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pipeline.config.base import Section
from pipeline.config.config import Config


def allowed_keys(location: Sequence[str | int]) -> list[str]:
    """The keys of the section at a pydantic error's location (union tags included); none where it is no section."""
    candidates: list[Any] = [Config]
    for part in location:
        candidates = [child for candidate in candidates for child in _children(candidate, part)]
    return [key for candidate in candidates for key in candidate.model_fields] if _is_section(candidates) else []


def suggestion(found: str, allowed: Iterable[str]) -> str:
    """`Did you mean ...? ` where something allowed is spelt alike, else nothing."""
    by_letters = {_letters(name): name for name in reversed(list(allowed))}
    close = difflib.get_close_matches(_letters(found), by_letters, n=1)
    return f"Did you mean `{by_letters[close[0]]}`? " if close else ""


def _letters(name: str) -> str:
    """The name whatever its case and what stands between its words."""
    return "".join(filter(str.isalnum, name.casefold())) or name


def _is_section(candidates: list[Any]) -> bool:
    return len(candidates) == 1 and isinstance(candidates[0], type) and issubclass(candidates[0], Section)


def _children(annotation: Any, part: str | int) -> list[Any]:
    """The types that may stand under a key, an index or a union's tag."""
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
    """The members of a union, or the type itself."""
    if get_origin(annotation) is Annotated:
        return _options(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [option for member in get_args(annotation) for option in _options(member)]
    return [] if annotation is type(None) or get_origin(annotation) is Literal else [annotation]
