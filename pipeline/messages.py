"""Texts for people: the warnings of components, and text from data made safe for a page, a plot or a terminal."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
"""Control characters but for tab and line feed, marks of text direction, halves of surrogate pairs."""


def visible(text: str) -> str:
    """Escapes control characters, marks of text direction and invalid Unicode: `\\x07`, `\\u202e`.

    Tabs and line feeds stay.
    """
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)


def one_line(text: str) -> str:
    """Escapes as `visible` does, and tabs and line feeds too."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def label(text: str, limit: int = 60) -> str:
    """Returns the text on one line, cut where it is longer than `limit` characters."""
    line = one_line(text)
    return line if len(line) <= limit else line[: limit - 1] + "…"


KEY: Final = "warnings"
"""The key of the JSON object: a list of texts."""
FILES: Final[Mapping[str, tuple[str, str]]] = {
    "InteractionExampleGen": ("examples", "ingest.json"),
    "Trainer": ("model_run", "training.json"),
    "InfraValidator": ("blessing", "infra_validation.json"),
}
"""By component: the output, and the file in its folder."""


def read_warnings(component: str, outputs: Mapping[str, list[Any]]) -> list[str]:
    """Reads the warnings of a finished component; empty where it has no such file.

    A component writes `"warnings": ["...", ...]` into the JSON file of its output, each text one sentence that names
    what was found, where, and the remedy. The local runner prints them below the component's line, also where it comes
    from the cache, and the report lists them first.

    Args:
      component: Its name, as in the pipeline.
      outputs: Its TFX artifacts by key.
    """
    key, name = FILES.get(component, ("", ""))
    if not outputs.get(key):
        return []
    path = Path(outputs[key][0].uri, name)
    return list(json.loads(path.read_text(encoding="utf-8")).get(KEY, ())) if path.is_file() else []
