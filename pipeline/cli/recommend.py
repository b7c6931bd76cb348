"""The command `recommend`: a user's history and recommended items, from a server that answers over gRPC."""

import argparse
import posixpath
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from config import Config, paths
from pipeline.cli.common import OK, CommandError, add_config, positive, warn
from pipeline.cli.request_options import add_request_options, with_request_options
from pipeline.cli.serve import embedded_server, require_pushed

if TYPE_CHECKING:
    from serving.client import RecommenderClient

LOCAL = "localhost:8500"
TIMEOUT = 60.0
"""Seconds: the first call to a server builds what the graph needs."""


def add_recommend(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `recommend`."""
    add_config(parser)
    parser.add_argument("--user", required=True, help="the user's id, as the tables have it")
    parser.add_argument("--k", type=positive, help="how many items (default: the configuration's `serving.default_k`)")
    add_request_options(parser)
    parser.add_argument("--explain", action="store_true", help="also show why: the events and tasks behind each score")
    parser.add_argument("--address", help=f"HOST:PORT of a model server (default: {LOCAL} where it fits, or an own)")


def recommend(arguments: argparse.Namespace) -> int:
    """Show a user's recent history and the items recommended to them, answered over gRPC.

    The history and the features come from the tables. Without `--address` a server on localhost:8500 is asked if it
    answers from a version that this configuration pushed; else the embedded server is started for the call.
    """
    from pipeline.checks.configuration import checked_config

    config = checked_config(arguments.config)
    from pipeline.cli.answer import show_explanations, show_history, show_items
    from pipeline.cli.user_history import find_user_history, make_request
    from serving.client import RecommenderError

    try:
        # The tables are read while a server starts.
        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(find_user_history, config, arguments.user)
            with _client(config, arguments.config, arguments.address) as client, _plain_warnings():
                history = reading.result()
                show_history(config, history)
                request = with_request_options(config, make_request(config, history, arguments.k), arguments)
                items = client.recommend(request)
                show_items(config, items, client.metadata().version)
                if arguments.explain and items:
                    show_explanations(config, client.explain(request, [item.item_id for item in items]))
    except (RecommenderError, ValueError) as error:
        raise CommandError(str(error)) from error
    return OK


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Prints the client's warnings as the command line's own, and no others."""
    from serving.client import RequestWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", RequestWarning)
        warnings.showwarning = lambda message, *_, **__: warn(str(message))
        yield


@contextmanager
def _client(config: Config, path: str, address: str | None) -> Iterator["RecommenderClient"]:
    """Yields a client of the server at the address, of one on this machine, or of one started for the call."""
    from serving.client import RecommenderClient

    model = config.serving.model_name
    unfit = None if address else _unfit(config)
    if unfit is None:
        with RecommenderClient(address or LOCAL, model, TIMEOUT) as client:
            yield client
        return
    require_pushed(config, path)
    print(f"{unfit}: starting a server for this call", file=sys.stderr)
    with embedded_server(config) as own, RecommenderClient(own, model, TIMEOUT) as client:
        yield client


def _unfit(config: Config) -> str | None:
    """Returns why the server on this machine is not asked; None where it has one of the configuration's versions.

    The model's name proves nothing, as most configurations keep the default one.
    """
    from serving.client import RecommenderClient, RecommenderError

    model, folder = config.serving.model_name, paths.serving(config)
    try:
        with RecommenderClient(LOCAL, model, timeout=1.0, attempts=1) as client:
            version = client.metadata().version
    except RecommenderError:
        return f"no server of {model!r} on {LOCAL}"
    if _holds(folder, version):
        return None
    return f"the server of {model!r} on {LOCAL} answers from version {version}, which is not in {folder}"


def _holds(folder: str, version: int) -> bool:
    """Returns whether the version was pushed to the folder, which may be on an object store."""
    path = posixpath.join(folder, str(version), "saved_model.pb")
    if "://" not in folder:
        return Path(path).is_file()
    from apache_beam.io.filesystem import BeamIOError
    from apache_beam.io.filesystems import FileSystems

    try:
        return bool(FileSystems.exists(path))
    except (BeamIOError, ValueError) as error:
        raise CommandError(f"{path}: cannot be looked for ({error}). Name the server: `--address`") from error
