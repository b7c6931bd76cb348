"""From a YAML file to a `Config`, with errors that name file, line, key, found and allowed values."""

from pathlib import Path

import yaml
from pydantic import ValidationError

from pipeline.config.config import Config
from pipeline.config.describe import describe
from pipeline.config.locate import Source


class ConfigError(Exception):
    """The configuration cannot be used. The message names the file, the key, what was found and what is allowed."""


def load_config(path: str | Path) -> Config:
    """Reads and validates a YAML file. Raises `ConfigError`."""
    return parse_config(read_text(path), str(path))


def read_text(path: str | Path) -> str:
    """The text of a configuration file. Raises `ConfigError`."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text ({error.reason} at byte {error.start})") from error


def parse_config(text: str, source: str = "<text>") -> Config:
    """Validates YAML text; `source` is the file's name in errors. Raises `ConfigError`."""
    try:
        positions = Source(text, source)
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: is not YAML: {error}") from error
    if twice := positions.duplicates():
        raise ConfigError("\n".join(twice))
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError("\n".join(describe(error, positions))) from error
