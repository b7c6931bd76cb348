"""Words for what pydantic finds wrong: what was found, what is allowed, what was probably meant."""

import re
from collections.abc import Callable
from datetime import date
from typing import Any

from pydantic import ValidationError

from pipeline.config.keys import allowed_keys, suggestion
from pipeline.config.locate import Source


def describe(error: ValidationError, source: Source, limit: int) -> list[str]:
    """One message for each of the first `limit` problems: file, line, key, found, allowed."""
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
