"""A configuration with other values at some keys."""

from collections.abc import Mapping
from typing import Any

from pipeline.config.config import Config


def changed_config(config: Config, changes: Mapping[str, Any]) -> Config:
    """The configuration with the values of dotted keys changed. Raises pydantic's ValidationError."""
    return Config.model_validate(_changed(config.model_dump(mode="json", exclude_unset=True), changes))


def _changed(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(values)
    for key, value in changes.items():
        head, _, rest = key.partition(".")
        if rest:
            old = result.get(head)
            result[head] = _changed(old if isinstance(old, Mapping) else {}, {rest: value})
        else:
            result[head] = value
    return result
