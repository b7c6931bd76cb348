"""The options of a request on the command line: filters, an allow-list, diversity and caps."""

import argparse
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from config import Config
from pipeline.cli.common import CommandError
from serving.client.request import Bound, Request

_CONDITION = re.compile(r"([a-z][a-z0-9_]*)(>=|<=|=)(.+)", re.DOTALL)


def add_request_options(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of a request."""
    parser.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="CONDITION",
        help="genres=Drama, year>=1991 or year<=2000 (`serving.filters`); again for more, the same name: any of them",
    )
    parser.add_argument("--allow", nargs="+", default=[], metavar="ID", help="the only items (`serving.allow_list`)")
    parser.add_argument("--diversity", type=float, help="0 (utility alone) to 1 (`serving.diversity`)")
    parser.add_argument(
        "--cap", action="append", default=[], metavar="NAME=N", help="genres=3: at most 3 items share a genre"
    )


def with_request_options(config: Config, request: Request, arguments: argparse.Namespace) -> Request:
    """Returns the request with the options. Raises `CommandError` where the configured model does not support them."""
    serving = config.serving
    if arguments.allow and not serving.allow_list:
        raise CommandError("`--allow` needs a model with `serving.allow_list: true`")
    if (arguments.diversity is not None or arguments.cap) and serving.diversity is None:
        raise CommandError("`--diversity` and `--cap` need a model with `serving.diversity`")
    any_of: dict[str, list[str]] = {}
    bounds: dict[str, dict[str, Bound]] = {">=": {}, "<=": {}}
    for name, sign, value in _parts(arguments.filter, "--filter", serving.filters):
        read = _reader(config, name)
        if read is None and sign != "=":
            raise CommandError(f"`--filter`: {name} has no order; use {name}=VALUE. Received: {name}{sign}{value}")
        if read is None:
            any_of.setdefault(name, []).append(value)
            continue
        for side in (">=", "<=") if sign == "=" else (sign,):
            bounds[side][name] = _value(read, value, "--filter")
    caps = {name: _value(int, value, "--cap") for name, _, value in _parts(arguments.cap, "--cap", tuple(serving.caps))}
    options = {"allow": arguments.allow, "any_of": any_of, "diversity": arguments.diversity, "caps": caps}
    try:
        return replace(request, **options, at_least=bounds[">="], at_most=bounds["<="])
    except ValueError as error:
        raise CommandError(str(error)) from error


def _parts(texts: Iterable[str], option: str, names: tuple[str, ...]) -> Iterable[tuple[str, str, str]]:
    """Yields name, sign and value of each condition."""
    for text in texts:
        match = _CONDITION.fullmatch(text)
        if match is None or match[1] not in names or (option == "--cap" and match[2] != "="):
            allowed = f"of {', '.join(names)}" if names else "but the model has none"
            raise CommandError(f"`{option}` should be NAME=VALUE, {allowed}. Received: {text!r}")
        yield match[1], match[2], match[3]


def _reader(config: Config, name: str) -> Callable[[str], Bound] | None:
    """Returns a function from text to a bound of the attribute; None where it has no order."""
    kinds = {feature.name: feature for feature in config.features.item}
    if kinds[name].value_kind == "time":
        return _moment
    return float if kinds[name].value_kind == "number" else None


def _moment(text: str) -> datetime:
    """Parses an ISO date or time, UTC where it names no zone."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _value(read: Callable[[str], Any], text: str, option: str) -> Any:
    try:
        return read(text)
    except ValueError as error:
        raise CommandError(f"`{option}`: {error}") from error
