"""What ML Metadata knows of the runs of a pipeline."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd


def open_store(home: Path) -> MetadataStore:
    """Opens the store of a pipeline's folder."""
    connection = mlmd.ConnectionConfig()
    connection.sqlite.filename_uri = str(home / "metadata.sqlite")
    connection.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READONLY
    return MetadataStore(connection)


def states_by_component(home: Path) -> dict[str, list[str]]:
    """The states of each component's executions, oldest first: COMPLETE, CACHED, FAILED, RUNNING ..."""
    store = open_store(home)
    names = {t.id: t.name.rsplit(".", 1)[-1] for t in store.get_execution_types()}
    states: dict[str, list[str]] = defaultdict(list)
    for execution in sorted(store.get_executions(), key=lambda e: e.id):
        states[names[execution.type_id]].append(mlmd.Execution.State.Name(execution.last_known_state))
    return dict(states)


def artifacts(home: Path, type_name: str) -> list[Any]:
    """The artifacts of a type, oldest first."""
    return sorted(open_store(home).get_artifacts_by_type(type_name), key=lambda a: a.id)
