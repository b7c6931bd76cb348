"""Version directories that a polling server never sees half written."""

import posixpath
import time
from pathlib import Path

from tfx.dsl.io import fileio
from tfx.utils import io_utils

from pipeline.push.claims import claimed_on_disk, claimed_on_store
from pipeline.push.withdraw import WITHDRAWN
from serving.manifest import MANIFEST, make_manifest


def next_version(base_path: str) -> int:
    """The time in seconds since 1970, or one more than the newest version ever pushed where the clock is behind it."""
    return max([int(time.time()), *(version + 1 for version in _versions(base_path))])


def push_version(model_path: str, base_path: str, manifest: str | None = None) -> tuple[int, str]:
    """Copies the SavedModel in `model_path` to a new version under `base_path`. Returns version and path.

    On a file system the copy is made under a name that servers pass over and then renamed, so that the version is there
    whole or not at all. An object store has no such rename: there `saved_model.pb` comes last, and a server tries again
    until it finds it. Earlier versions stay. Raises what the copy raises (a full disk), and leaves nothing behind.

    `manifest` is that of the model (`serving.manifest`), made here when missing: it goes with the version, and is of
    the files that were copied, not of the copies.
    """
    manifest = make_manifest(model_path) if manifest is None else manifest
    if "://" in base_path:
        with claimed_on_store(base_path, lambda v: v not in _versions(base_path), next_version(base_path)) as version:
            path = posixpath.join(base_path, str(version))
            try:
                _copy_model_last(model_path, path, manifest)
            except BaseException:
                io_utils.delete_dir(path)
                raise
            return version, path
    base = Path(base_path)
    with claimed_on_disk(base, lambda v: v not in _versions(base_path), lambda: next_version(base_path)) as claimed:
        version, part = claimed
        model, path = part / "model", posixpath.join(base_path, str(version))
        io_utils.copy_dir(model_path, str(model))
        (model / MANIFEST).write_text(manifest, encoding="utf-8")
        model.rename(path)
        return version, path


def _versions(base_path: str) -> set[int]:
    """Those that were pushed, whether they were withdrawn or not."""
    folders = [folder for folder in (base_path, base_path.rstrip("/") + WITHDRAWN) if fileio.exists(folder)]
    names = [str(name).rstrip("/") for folder in folders for name in fileio.listdir(folder)]
    return {int(name) for name in names if name.isdigit()}


def _copy_model_last(model_path: str, path: str, manifest: str) -> None:
    name = "saved_model.pb"
    io_utils.copy_dir(model_path, path, deny_regex_patterns=[r"saved_model\.pb$"])
    io_utils.write_string_file(posixpath.join(path, MANIFEST), manifest)
    io_utils.copy_file(posixpath.join(model_path, name), posixpath.join(path, name))
