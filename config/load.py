"""Loads a YAML file as a `Config`, with errors that name file, line, key, value and allowed values."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from config.errors import Source, describe
from config.migrations import VERSION, VersionError, migrate
from config.schema import Config
from config.yaml_text import MAX_BYTES, YamlTextError

_MOST_PROBLEMS = 50
"""The maximum number of problems in one error."""


class ConfigError(Exception):
    """The configuration cannot be used. The message names the file, the key, its value and what is allowed."""


def load_config(path: str | Path) -> Config:
    """Reads and validates a YAML file. Raises `ConfigError`."""
    return parse_config(read_text(path), str(path))


def read_text(path: str | Path) -> str:
    """Reads the text of a configuration file. Raises `ConfigError`."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ConfigError(f"{str(path)!r}: is not the path of a file ({error})") from error
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path}: is larger than {MAX_BYTES:,} bytes, the limit of a configuration")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text ({error.reason} at byte {error.start})") from error


def parse_config(text: str, source: str = "<text>") -> Config:
    """Validates YAML text; `source` is the file's name in errors. Raises `ConfigError`.

    Keys that were renamed since the file was written are read under their new names, and logged as warnings.
    """
    try:
        positions = Source(text, source)
        if problems := positions.key_problems():
            raise ConfigError(_listed(problems))
        values, notices = migrate(positions.values())
    except VersionError as error:
        raise ConfigError(positions.problem(["version"], str(error))) from error
    except YamlTextError as error:
        raise ConfigError(str(error)) from error
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_listed(describe(error, positions, _MOST_PROBLEMS), error.error_count())) from error
    for notice in notices:
        logging.getLogger(__name__).warning(
            "warning: %s: %s; change it, and write `version: %d`", source, notice, VERSION
        )
    return config


def _listed(problems: list[str], count: int | None = None) -> str:
    """Joins the first problems, one per line, and counts the others."""
    shown = problems[:_MOST_PROBLEMS]
    more = (count or len(problems)) - len(shown)
    return "\n".join([*shown, *([f"and {more:,} more problems"] if more else [])])


def changed_config(config: Config, changes: Mapping[str, Any]) -> Config:
    """Returns the configuration with the values of dotted keys changed. Raises pydantic's ValidationError."""
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
