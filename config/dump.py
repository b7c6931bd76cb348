"""Writes a configuration as JSON, either whole or restricted to the keys that one component depends on."""

import json
from typing import Any

from config.schema import Config

_COLUMNS = ("features.user", "features.item", "features.context", "features.outcome")
_LABELS = ("tasks.*.kind", "tasks.*.label", "tasks.*.where", "tasks.*.session", "tasks.*.attribute")
_EVENTS = ("data", "positive", "cleaning", "split", *_COLUMNS, *_LABELS)
INGEST = (*_EVENTS, "model.history.max_events", "model.history.min_context")
DISTRIBUTIONS = ("data", "features", *_LABELS, "pipeline.drift", "pipeline.skew")
TRANSFORM = ("data", "features", *_LABELS, "model.user_min_count")
_FITTED = (*INGEST, "features", "tasks", "model", "training", "evaluation.ks", "evaluation.mask_seen")
_NOT_IN_THE_MODEL = ("-serving.infra", "-serving.embeddings", "-serving.log_requests")
TRAINER = (*_FITTED, "evaluation.cold_items", "evaluation.requests", "serving", *_NOT_IN_THE_MODEL)
_STACKED_AFTERWARDS = ("-tasks.*.baseline", "-model.neighbours")
_OTHER_TRAINING = ("tpu", "job", "checkpoint_every_epochs", "checkpoint_every_minutes", "memory_limit")
TRAINING = (*_FITTED, *_STACKED_AFTERWARDS, *(f"-training.{key}" for key in _OTHER_TRAINING))
TUNER = (*_FITTED, *_STACKED_AFTERWARDS, "-training.job", "tuner")
INFRA = ("data", "features", *_LABELS, "serving", "-serving.embeddings", "-serving.log_requests")
"""The keys that a component depends on, except those after a minus: a change of other keys does not run it again.
`TRAINING` are the keys that the Trainer's epochs depend on: a change of other keys leaves trained weights as they
are."""


def dump_config(config: Config, *keys: str) -> str:
    """Writes the configuration as JSON, for a TFX execution property; `parse_config` reads it, since JSON is YAML.

    Args:
      config: The configuration.
      *keys: Dotted keys to keep, such as `model.history`, or after a minus to drop; `*` matches any name. `name` and
        `data` are always kept, without the span: a run of it is that of the newest one, and ingest gets it apart.
        Defaults to all keys.
    """
    values = config.model_dump(mode="json", exclude_unset=True)
    if keys:
        values = _pick(values, ("name", "data", "-data.span", *keys))
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
    """Deletes a key from copies of the nested dictionaries, and sections that become empty."""
    head, *rest = path
    for name in _named(values, head):
        if not rest:
            del values[name]
        elif isinstance(values[name], dict):
            values[name] = dict(values[name])
            _drop_key(values[name], rest)
            if not values[name]:  # a section that holds nothing else is as if it were not there
                del values[name]


def _copy_key(source: dict[str, Any], target: dict[str, Any], path: list[str]) -> None:
    head, *rest = path
    for name in _named(source, head):
        if not rest:
            target[name] = source[name]
        elif isinstance(source[name], dict):
            _copy_key(source[name], target.setdefault(name, {}), rest)


def _named(values: dict[str, Any], head: str) -> list[str]:
    return list(values) if head == "*" else [head] if head in values else []
