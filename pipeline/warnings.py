"""What a person should look at though nothing had to stop: one way from a component to the console and the report.

A component that has something to say writes `"warnings": ["...", ...]` into the JSON file of its output, each text one
sentence that names what was found, where, and what to do. The local runner prints them below the component's line, also
where it comes from the cache, and the report lists them first.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

KEY: Final = "warnings"
"""Of the JSON object: a list of texts."""
FILES: Final[Mapping[str, tuple[str, str]]] = {
    "InteractionExampleGen": ("examples", "ingest.json"),
    "Trainer": ("model_run", "training.json"),
    "InfraValidator": ("blessing", "infra_validation.json"),
}
"""By component: the output, and the file in its folder."""


def read_warnings(component: str, outputs: Mapping[str, list[Any]]) -> list[str]:
    """What a finished component warns of; empty where it has no such file.

    Args:
      component: Its name, as in the pipeline.
      outputs: Its TFX artifacts by key.
    """
    key, name = FILES.get(component, ("", ""))
    if not outputs.get(key):
        return []
    path = Path(outputs[key][0].uri, name)
    return list(json.loads(path.read_text(encoding="utf-8")).get(KEY, ())) if path.is_file() else []
