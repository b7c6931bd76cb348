"""What later runs have to know of a pushed version where there is no ML Metadata: one file for each, in one folder.

Pods of open-source Kubeflow Pipelines cannot ask its metadata for the artifacts of earlier runs, so the Pusher leaves
there what a baseline and a reference of drift are found by.
"""

import hashlib
import json
import posixpath
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from tfx.dsl.io import fileio
from tfx.utils import io_utils

from serving.manifest import make_manifest

_ENDING: Final = ".json"


@dataclass(frozen=True)
class Record:
    """A pushed version.

    Attributes:
      version: The version.
      path: Its folder, where servers answer from it.
      model: The digest of the model's files.
      statistics: The digest of the files of its run's statistics.
      config: The Trainer's part of the configuration, as JSON.
    """

    version: int
    path: str
    model: str
    statistics: str
    config: str


def digest_of(manifest: str) -> str:
    """Returns what identifies the files of a manifest (`serving.manifest`)."""
    return hashlib.sha256(manifest.encode()).hexdigest()


def statistics_folder(folder: str, record: Record) -> str:
    """Returns where the statistics of a version's run are kept."""
    return posixpath.join(folder, str(record.version))


def write_record(folder: str, version: int, path: str, manifest: str, statistics: str, config: str) -> None:
    """Keeps the statistics, then writes the record, so that what it names is there.

    Args:
      folder: The folder of records.
      version: The version.
      path: Its folder.
      manifest: The model's manifest.
      statistics: The folder of the run's statistics.
      config: The Trainer's part of the configuration, as JSON.
    """
    record = Record(version, path, digest_of(manifest), digest_of(make_manifest(statistics)), config)
    io_utils.copy_dir(statistics, statistics_folder(folder, record))
    io_utils.write_string_file(posixpath.join(folder, f"{version}{_ENDING}"), json.dumps(asdict(record), indent=2))


def read_records(folder: str) -> list[Record]:
    """Reads the records, oldest first; none where there is no folder."""
    names = [str(name) for name in fileio.listdir(folder)] if fileio.exists(folder) else []
    files = [posixpath.join(folder, name) for name in names if name.endswith(_ENDING)]
    records = [Record(**json.loads(io_utils.read_string_file(file))) for file in files]
    return sorted(records, key=lambda record: record.version)


def newest_first(records: Sequence[Record], model: str = "", statistics: str = "") -> list[Record]:
    """Returns the records of the runs before one, the newest first.

    A run that finds its model or statistics in the cache may have pushed it already: then the records from that one on
    are left out, so that it is compared with the same as before.

    Args:
      records: All, oldest first.
      model: The digest of the run's model.
      statistics: The digest of the run's statistics.
    """
    own = (n for n, r in enumerate(records) if model == r.model or statistics == r.statistics)
    return list(reversed(records[: next(own, len(records))]))
