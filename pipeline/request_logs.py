"""A user's requests in the log of the embedded server (`serving.log_requests`): finding them and taking them out.

A call is one record, whatever the number of its rows: where one row is of the user, the record goes as a whole. A file
is written again beside itself and renamed into place, and the records that stay are the same bytes. One that a server
still writes to is left alone.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from config import Config, feature_names, paths
from pipeline.ingest.records import tfrecords
from pipeline.ingest.tables import TableError
from serving.server.request_log import FILE_SUFFIX, is_being_written

_PART: Final = ".{}.part"
"""A file that is being written again: neither the server nor `online` takes it for one of the log."""
Span = tuple[int, int]
"""The first byte of a part of a file, and the first one after it."""


@dataclass(frozen=True)
class LoggedUser:
    """A file of the log that holds a user.

    Attributes:
      path: The file.
      records: Where the user's records are.
      rest: Where the bytes are that follow the last whole record, as a killed server leaves them, if they hold the id.
      is_open: Whether a server still writes to the file.
    """

    path: Path
    records: tuple[Span, ...]
    rest: Span | None
    is_open: bool


def find_requests(config: Config, names: Sequence[str]) -> list[LoggedUser]:
    """Returns the files of the request log that hold a user, by name: of each server the oldest first.

    Args:
      config: The configuration.
      names: The ids that requests may know the user by.
    """
    wanted, found = [name.encode() for name in names], []
    for path in _files(config):
        with contextlib.suppress(FileNotFoundError):  # a server removes its oldest file when it begins another
            is_open = is_being_written(path)
            records, rest = _held(path, wanted)
            if records or rest:
                found.append(LoggedUser(path, records, rest, is_open))
    return found


def remove_requests(config: Config, found: Iterable[LoggedUser]) -> None:
    """Takes a user's records out of the files that no server writes to; a file without any other is removed.

    Killed at any moment it leaves each file either as it was or without the user, and the next call finds the others.

    Raises:
      OSError: A file cannot be written.
    """
    if (prefix := paths.request_log(config)) is not None:
        for left in Path(prefix).parent.glob(_PART.format(f"{Path(prefix).name}-*")):
            left.unlink()
    for file in found:
        if not file.is_open:
            _cut(file.path, [*file.records, *([file.rest] if file.rest else [])])


def _files(config: Config) -> list[Path]:
    if (prefix := paths.request_log(config)) is None:
        return []
    pattern = re.compile(re.escape(Path(prefix).name) + FILE_SUFFIX)
    return sorted(path for path in Path(prefix).parent.glob("*.tfrecord") if pattern.fullmatch(path.name))


def _held(path: Path, wanted: Sequence[bytes]) -> tuple[tuple[Span, ...], Span | None]:
    """Returns where a file holds the user: whole records, and what follows the last one."""
    held, begin = [], 0
    with path.open("rb") as file:
        with contextlib.suppress(TableError):  # the last record is cut short
            for record in tfrecords(str(path), file):
                end = file.tell()
                if _is_of_user(record, wanted):
                    held.append((begin, end))
                begin = end
        file.seek(begin)
        rest = file.read()
    is_named = any(name in rest for name in wanted)
    return tuple(held), (begin, begin + len(rest)) if is_named else None


def _is_of_user(record: bytes, wanted: Sequence[bytes]) -> bool:
    """Returns whether a PredictionLog is of a call of one of the users."""
    if not any(name in record for name in wanted):  # parsing all would take many times as long
        return False
    inputs = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request.inputs
    users = set(inputs[feature_names.USER_ID].string_val)
    for example in inputs["examples"].string_val:
        users |= set(tf.train.Example.FromString(example).features.feature[feature_names.USER_ID].bytes_list.value)
    return not users.isdisjoint(wanted)


def _cut(path: Path, spans: Sequence[Span]) -> None:
    """Writes a file again without some parts of it, in their order."""
    content, begin, kept = path.read_bytes(), 0, []
    for start, end in spans:
        kept.append(content[begin:start])
        begin = end
    kept.append(content[begin:])
    if not any(kept):
        path.unlink()
        return
    part = path.with_name(_PART.format(path.name))
    with part.open("wb") as file:
        shutil.copystat(path, part)
        file.writelines(kept)
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(PermissionError):  # only root gives files away
        shutil.chown(part, path.stat().st_uid, path.stat().st_gid)
    part.replace(path)
