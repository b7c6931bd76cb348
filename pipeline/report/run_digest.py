"""Which run a page is of: a digest inside it, by which a run that is all cache finds its page written already."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config import Config, dump_config

Outputs = Mapping[str, list[Any]]
"""A component's TFX artifacts by key."""


def run_digest(config: Config, outputs: Mapping[str, Outputs], verdict: str) -> str:
    """A digest of all that a page is made from: the configuration, every component's artifacts, the verdict."""
    places = {name: {key: [a.uri for a in found] for key, found in keys.items()} for name, keys in outputs.items()}
    text = json.dumps([dump_config(config), places, verdict], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def has_digest(page: str | Path, digest: str) -> bool:
    """Whether the page stands and is of the run with this digest."""
    path = Path(page)
    return path.exists() and f'content="{digest}"' in path.read_text(encoding="utf-8")
