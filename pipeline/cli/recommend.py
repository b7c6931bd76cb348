"""Show a user's recent history and the items recommended to them, answered over gRPC.

The history and the features come from the tables. Without `--address` a server on localhost:8500 is asked, and where
none answers for this model the embedded server is started for the call.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.cli import exits
from pipeline.cli.options import add_config, positive
from pipeline.cli.wishes import add_wishes, with_wishes
from pipeline.config import Config

if TYPE_CHECKING:
    from serving.client import RecommenderClient

LOCAL = "localhost:8500"
TIMEOUT = 60.0
"""Seconds: the first call to a server builds what the graph needs."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Whom, how many, and who is asked."""
    add_config(parser)
    parser.add_argument("--user", required=True, help="the user's id, as the tables have it")
    parser.add_argument("--k", type=positive, help="how many items (default: the configuration's `serving.default_k`)")
    add_wishes(parser)
    parser.add_argument("--explain", action="store_true", help="also show why: the events and tasks behind each score")
    parser.add_argument("--address", help=f"HOST:PORT of a model server (default: {LOCAL} or an own server)")


def execute(arguments: argparse.Namespace) -> int:
    """Asks and prints; raises `ConfigError` or `CommandError`."""
    from pipeline.check import checked_config

    config = checked_config(arguments.config)
    from pipeline.cli.answer import show_explanations, show_history, show_items
    from pipeline.cli.person import find_person, make_request
    from serving.client import RecommenderError

    try:
        person = find_person(config, arguments.user)
        request = with_wishes(config, make_request(config, person, arguments.k), arguments)
        show_history(config, person)
        with _client(config, arguments.config, arguments.address) as client:
            items = client.recommend(request)
            show_items(config, items, client.metadata().version)
            if arguments.explain and items:
                show_explanations(config, client.explain(request, [item.item_id for item in items]))
    except (RecommenderError, ValueError) as error:
        raise exits.CommandError(str(error)) from error
    return exits.OK


@contextmanager
def _client(config: Config, path: str, address: str | None) -> Iterator["RecommenderClient"]:
    """A client of the server at the address, of one on this machine, or of one of our own."""
    from pipeline.cli.embedded import embedded_server
    from pipeline.cli.serve import require_pushed
    from serving.client import RecommenderClient

    model = config.serving.model_name
    if address or _answers(LOCAL, model):
        with RecommenderClient(address or LOCAL, model, TIMEOUT) as client:
            yield client
        return
    require_pushed(config, path)
    print(f"no server of {model!r} on {LOCAL}: starting one for this call", file=sys.stderr)
    with embedded_server(config) as own, RecommenderClient(own, model, TIMEOUT) as client:
        yield client


def _answers(address: str, model: str) -> bool:
    from serving.client import RecommenderClient, RecommenderError

    try:
        with RecommenderClient(address, model, timeout=1.0, attempts=1) as client:
            return any(version.state == "AVAILABLE" for version in client.status())
    except RecommenderError:
        return False
