"""Version directories that a polling server never sees half written."""

import posixpath
import time

from tfx.dsl.io import fileio
from tfx.utils import io_utils

from pipeline.push.withdraw import WITHDRAWN


def next_version(base_path: str) -> int:
    """The time in seconds since 1970, or one more than the newest version ever pushed where the clock is behind it."""
    folders = [folder for folder in (base_path, base_path.rstrip("/") + WITHDRAWN) if fileio.exists(folder)]
    names = [str(name).rstrip("/") for folder in folders for name in fileio.listdir(folder)]
    versions = [int(name) for name in names if name.isdigit()]
    return max([int(time.time()), *(version + 1 for version in versions)])


def push_version(model_path: str, base_path: str) -> tuple[int, str]:
    """Copies the SavedModel in `model_path` to a new version under `base_path`. Returns version and path.

    On a file system the copy is made under a name that servers pass over and then renamed, so that the version is there
    whole or not at all. An object store has no such rename: there `saved_model.pb` comes last, and a server tries again
    until it finds it. Earlier versions stay. Raises what the copy raises (a full disk), and leaves nothing behind.
    """
    version = next_version(base_path)
    path = posixpath.join(base_path, str(version))
    if "://" in base_path:
        _copy_model_last(model_path, path)
        return version, path
    part = posixpath.join(base_path, f".{version}.part")
    try:
        io_utils.copy_dir(model_path, part)
        fileio.rename(part, path)
    except BaseException:
        io_utils.delete_dir(part)
        raise
    return version, path


def _copy_model_last(model_path: str, path: str) -> None:
    io_utils.copy_dir(model_path, path, deny_regex_patterns=[r"saved_model\.pb$"])
    name = "saved_model.pb"
    io_utils.copy_file(posixpath.join(model_path, name), posixpath.join(path, name))
