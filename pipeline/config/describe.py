"""Words for what pydantic finds wrong: what was found, what is allowed, what was probably meant."""

import re
from collections.abc import Callable
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
}
