"""The command `forget`: what holds a user, and its removal."""

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from config import Config, ConfigError, paths
from config.data import Table
from pipeline.cli.common import FAILED, OK, CommandError, add_config
from pipeline.cli.local_runs import no_run_in, runs_folder
from pipeline.ingest.tables import TableError

if TYPE_CHECKING:
    from pipeline.forgetting import Traces
    from pipeline.request_logs import LoggedUser


def add_forget(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `forget`."""
    parser.add_argument("user", metavar="USER", help="the user's id, as the tables have it")
    add_config(parser)
    parser.add_argument("--remove", action="store_true", help="remove what is listed, but for tables and versions")


def forget(arguments: argparse.Namespace) -> int:
    """List what holds a user, and with --remove remove it.

    Counts the user's rows in the tables, which are never changed, and the user's windows in the examples of all runs;
    lists all artifacts that were made from these, the logs and reports that name the user, the logged requests of
    `serving.log_requests` with the user's id, and the pushed versions that were trained on the user's events. --remove
    removes artifacts, logs, reports and checkpoints, so that the next run makes all of them again, and the requests;
    delete the user's rows from the tables before it. Versions stay, as they may be serving. So does a file of requests
    that a server still writes to: the exit code is then 1.
    """
    from pipeline.checks.configuration import checked_config

    config = checked_config(arguments.config, with_data=False)
    home = runs_folder(config)
    from pipeline.forgetting import find_traces, names_of
    from pipeline.metadata import readable_store
    from pipeline.request_logs import find_requests, remove_requests
    from pipeline.retention import remove

    try:
        names = names_of(config, arguments.user)
    except TableError as error:
        raise ConfigError(f"{arguments.config}: {error}") from error
    with no_run_in(home, config):
        store = readable_store(config)
        if store is None:
            raise CommandError(f"there are no runs in {home}")
        traces = find_traces(config, names, store)
        requests = find_requests(config, names)
        if arguments.remove:
            remove(config, traces.plan())
            remove_requests(config, requests)
    found = (*_found(traces, arguments.remove), *_logged(requests, arguments.remove))
    for line in (*_tables(config, arguments.user), *found, *_advice(config, traces)):
        print(line)
    return FAILED if arguments.remove and any(file.is_open for file in requests) else OK


def _tables(config: Config, user: str) -> Iterator[str]:
    """Yields a line for each table with a column of users."""
    from pipeline.cli.user_history import find_rows
    from pipeline.forgetting import names_of

    data = config.data
    columns: list[tuple[Table, str]] = [(data.interactions, data.interactions.user)]
    if data.users is not None:
        columns.append((data.users, data.users.id))
    for table, column in columns:
        try:
            rows = f"{len(find_rows(data, table, column, names_of(config, user)[-1:], [])):,} rows of the user"
        except TableError as error:
            rows = f"cannot be read: {error}"
        yield f"table {table.path} ({column}): {rows}"


def _found(traces: "Traces", is_removed: bool) -> Iterator[str]:
    for uri, count in traces.windows.items():
        yield f"examples {uri}: {count:,} windows of the user"
    verb = "removed" if is_removed else "to remove"
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(a.type for a in traces.artifacts).items()))
    yield f"{verb}: {len(traces.artifacts)} artifacts" + (f" ({kinds})" if kinds else "")
    yield f"{verb}: {len(traces.checkpoints)} checkpoints, {len(traces.texts)} logs and reports"
    yield from (f"  {path}" for path in traces.texts)


def _logged(requests: "list[LoggedUser]", is_removed: bool) -> Iterator[str]:
    """Yields a line for each file of the request log that holds the user."""
    for file in requests:
        rest = ", and a part of a record that names the user" if file.rest else ""
        held = f"{len(file.records):,} requests of the user{rest} in {file.path}"
        if file.is_open:
            yield (
                f"not {'removed' if is_removed else 'to remove yet'}: {held}, which a server still writes to: stop the "
                "server, or wait until it begins the next file (`serving.log_requests.max_file_minutes`), and `forget` "
                "again"
            )
        else:
            yield f"{'removed' if is_removed else 'to remove'}: {held}"


def _advice(config: Config, traces: "Traces") -> Iterator[str]:
    """Yields a line for each version that is still there, and what to do about them."""
    from pipeline.push.withdraw import withdrawn_folder

    folder = paths.serving(config)
    are_left = False
    for pushed in traces.versions:
        places = {"answers or may answer": Path(folder), "is withdrawn": withdrawn_folder(folder)}
        for state, place in places.items():
            if "://" in folder or (place / str(pushed.version)).exists():
                are_left = True
                serving = json.loads(pushed.config or "{}").get("serving", {})
                held = ", holds the newest of them (`serving.snapshot`)" if serving.get("snapshot") else ""
                yield f"version {pushed.version} was trained on the user's events{held}, and {state}: {place}"
                break
    if are_left:
        yield (
            "next: delete the user's rows from the tables, `run` again, and when the new version answers delete the "
            "folders of these"
        )
