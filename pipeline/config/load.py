"""From a YAML file to a `Config`, with errors that name file, key, found and allowed values."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pipeline.config.config import Config


class ConfigError(Exception):
    """The configuration cannot be used. The message names the file, the key, what was found and what is allowed."""


def load_config(path: str | Path) -> Config:
    """Reads and validates a YAML file. Raises `ConfigError`."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    return parse_config(text, str(path))


def parse_config(text: str, source: str = "<text>") -> Config:
    """Validates YAML text; `source` is the file's name in errors. Raises `ConfigError`."""
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: is not YAML: {error}") from error
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError("\n".join(_describe(e, source) for e in error.errors())) from error


def _describe(error: Any, source: str) -> str:
    key = ".".join(str(part) for part in error["loc"]) or "(top level)"
    return f"{source}: `{key}`: {error['msg']}. Received: {error['input']!r}"
