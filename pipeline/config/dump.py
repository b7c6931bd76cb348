"""A configuration as JSON, whole or only what one component depends on."""

import json
from typing import Any

from pipeline.config.config import Config

_COLUMNS = ("features.user", "features.item", "features.context", "features.outcome")
_EVENTS = ("data", "positive", "cleaning", "split", *_COLUMNS, "tasks")
INGEST = (*_EVENTS, "model.history.max_events", "model.history.min_context")
DISTRIBUTIONS = ("data", "features", "tasks", "pipeline.drift", "pipeline.skew")
TRANSFORM = ("data", "features", "tasks", "model.user_min_count")
_FITTED = (*INGEST, "features", "model", "training", "evaluation.ks", "evaluation.mask_seen", "evaluation.cold_items")
TRAINER = (*_FITTED, "serving", "-serving.infra")
TUNER = (*_FITTED, "tuner")
EVALUATOR = ("data", "features", "tasks", "evaluation", "split", "serving.index")
INFRA = ("data", "features", "tasks", "serving")
"""The keys that a component reads (not those after a minus): what else changes does not run it again."""


def dump_config(config: Config, *keys: str) -> str:
    """The configuration as JSON, for a TFX execution property; `parse_config` reads it back (JSON is YAML).

    Args:
      config: The configuration.
      *keys: Dotted keys to keep, such as `model.history`, or after a minus to drop; `name` and `data` are always
        kept. None: all.
    """
    values = config.model_dump(mode="json", exclude_unset=True)
    if keys:
        values = _pick(values, ("name", "data", *keys))
    return json.dumps(values, sort_keys=True)


def _pick(values: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    picked: dict[str, Any] = {}
    for key in keys:
        if not key.startswith("-"):
            _copy_key(values, picked, key.split("."))
    for key in keys:
        if key.startswith("-"):
            _drop_key(picked, key[1:].split("."))
    return picked


def _drop_key(values: dict[str, Any], path: list[str]) -> None:
    """Leaves the nested dictionaries of the source alone."""
    head, *rest = path
    if head not in values:
        return
    if rest:
        values[head] = dict(values[head])
        _drop_key(values[head], rest)
    else:
        del values[head]


def _copy_key(source: dict[str, Any], target: dict[str, Any], path: list[str]) -> None:
    head, *rest = path
    if head not in source:
        return
    if not rest:
        target[head] = source[head]
    elif isinstance(source[head], dict):
        _copy_key(source[head], target.setdefault(head, {}), rest)
