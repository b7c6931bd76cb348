"""Connections to the pipeline's ML Metadata: a SQLite file of its own, or a database on a server."""

import os
import re
from pathlib import Path
from typing import Any, Final

from config import Config, paths
from config.metadata import PASSWORDS, Database

FILE: Final = "metadata.sqlite"
"""The SQLite file in a pipeline's folder."""


def connection(home: Path, address: str | None, is_written: bool = True) -> Any:
    """Returns the `ConnectionConfig` of a pipeline's metadata.

    Args:
      home: The pipeline's folder.
      address: `pipeline.metadata` of its configuration.
      is_written: Whether a SQLite file is also written, and made where there is none.
    """
    return sqlite_connection(home / FILE, is_written) if address is None else server(Database.parse(address))


def sqlite_connection(path: Path, is_written: bool = True) -> Any:
    """Returns the `ConnectionConfig` of a SQLite file, which is made where it is to be written and is not there."""
    from ml_metadata.proto import metadata_store_pb2

    proto: Any = metadata_store_pb2
    mode = proto.SqliteMetadataSourceConfig
    made = proto.ConnectionConfig()
    made.sqlite.filename_uri = str(path)
    made.sqlite.connection_mode = mode.READWRITE_OPENCREATE if is_written else mode.READONLY
    return made


def server(database: Database) -> Any:
    """Returns the `ConnectionConfig` of a database, with the password of the environment."""
    from ml_metadata.proto import metadata_store_pb2

    made: Any = metadata_store_pb2.ConnectionConfig()  # type: ignore[attr-defined]
    values = {"host": database.host, "user": database.user, "password": os.environ.get(PASSWORDS[database.kind], "")}
    options = dict(database.options)
    if database.kind == "mysql":
        own, encryption = made.mysql, made.mysql.ssl_options
        values |= {"database": database.name, "socket": options.pop("socket", "")}
        own.port = database.port
    else:
        own, encryption = made.postgresql, made.postgresql.ssloption
        values |= {"dbname": database.name, "host": options.pop("host", database.host)}
        own.port = str(database.port)
        values, options = ({name: _quoted(value) for name, value in of.items()} for of in (values, options))
    for target, of in ((own, values), (encryption, options)):
        for name, value in of.items():
            setattr(target, name, value)
    return made


def _quoted(value: str) -> str:
    """Quotes a value of libpq's connection string, into which ML Metadata puts it as it is."""
    return value if re.fullmatch(r"[\w.:/@-]*", value) else "'" + re.sub(r"(['\\])", r"\\\1", value) + "'"


def open_store(connection: Any) -> Any:
    """Opens the `ml_metadata.MetadataStore` of a `ConnectionConfig`."""
    from ml_metadata import MetadataStore

    return MetadataStore(connection)


def readable_store(config: Config) -> Any:
    """Opens the store of a configuration for reading; None where there is none yet."""
    home, address = Path(paths.home(config)), config.pipeline.metadata
    is_there = address is not None or (home / FILE).exists()
    return open_store(connection(home, address, is_written=False)) if is_there else None


def pipeline_artifacts(store: Any, name: str) -> list[Any]:
    """Returns the artifacts of a pipeline in the order in which they were made: a database may hold other pipelines."""
    context = pipeline_context(store, name)
    found = [] if context is None else store.get_artifacts_by_context(context.id)
    return sorted(found, key=lambda artifact: artifact.id)


def pipeline_context(store: Any, name: str) -> Any:
    """Returns the context that holds all executions and artifacts of a pipeline; None before its first run."""
    return store.get_context_by_type_and_name("pipeline", name)
