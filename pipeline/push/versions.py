"""Pushed versions: one number for each push, and folders that servers never see half written."""

import errno
import fcntl
import os
import posixpath
import random
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tfx.dsl.io import fileio
from tfx.utils import io_utils

from pipeline.push.withdraw import WITHDRAWN
from serving.manifest import MANIFEST, make_manifest

_NO_LOCKS: Final = (errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF)
"""Errors of file systems without locks on folders."""
_PART: Final = ".{}.part"
"""Servers ignore it, as it is no number."""
_DAY: Final = 24 * 60 * 60
"""Seconds, as versions are."""


@contextmanager
def claimed_on_disk(
    base: Path, is_free: Callable[[int], bool], wanted: Callable[[], int]
) -> Iterator[tuple[int, Path]]:
    """Claims a version and yields it with a folder to write it in, which is removed at the end.

    The claim is a folder, whose creation fails where it exists, also against machines that file locks do not reach.
    Where locks work, pushes run one after another, and folders that killed pushes left are removed.

    Args:
      base: The folder of versions.
      is_free: Returns whether a version was not pushed yet.
      wanted: Returns the first version to try.
    """
    base.mkdir(parents=True, exist_ok=True)
    with _alone_in(base) as is_alone:
        for part in base.glob(_PART.format("*")) if is_alone else ():
            shutil.rmtree(part)
        version = wanted()
        while not _claim(base, version, is_free):
            version += 1
        part = base / _PART.format(version)
        try:
            yield version, part
        finally:
            shutil.rmtree(part)


def _claim(base: Path, version: int, is_free: Callable[[int], bool]) -> bool:
    part = base / _PART.format(version)
    try:
        part.mkdir()
    except FileExistsError:
        return False
    if not is_free(version):  # another push claimed it, and has finished since `wanted` looked
        part.rmdir()
        return False
    return True


@contextmanager
def _alone_in(folder: Path) -> Iterator[bool]:
    """Waits for an exclusive lock on the folder; yields False where the file system has none."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


@contextmanager
def claimed_on_store(base: str, is_free: Callable[[int], bool], version: int) -> Iterator[int]:
    """Claims a version on an object store and yields it.

    A push that finds another claim beside its own gives the version up: of two pushes, the later to write its claim
    sees the other's. As both may give up, each goes on by a random step.

    Args:
      base: The folder of versions.
      is_free: Returns whether a version was not pushed yet.
      version: The first version to try.
    """
    _forget_killed(base, older_than=version - _DAY)
    name = uuid.uuid4().hex
    while True:
        claims = posixpath.join(base, _PART.format(version))
        fileio.makedirs(claims)
        own = posixpath.join(claims, name)
        with fileio.open(own, "w") as file:
            file.write("a push is under way")
        try:
            if len(fileio.listdir(claims)) == 1 and is_free(version):
                yield version
                return
        finally:
            fileio.remove(own)
        version += random.randint(1, 4)


def _forget_killed(base: str, older_than: int) -> None:
    """Removes the claims, and the files, of pushes that began a day ago: they were killed."""
    for name in fileio.listdir(base) if fileio.exists(base) else ():
        found = re.fullmatch(_PART.format(r"(\d+)").replace(".", r"\."), str(name).rstrip("/"))
        if found and int(found[1]) < older_than:
            version = posixpath.join(base, found[1])
            if fileio.exists(version) and not fileio.exists(posixpath.join(version, "saved_model.pb")):
                fileio.rmtree(version)
            fileio.rmtree(posixpath.join(base, str(name)))


def next_version(base_path: str) -> int:
    """Returns the time in seconds since 1970, or one more than the newest version where the clock is behind it."""
    return max([int(time.time()), *(version + 1 for version in _versions(base_path))])


def push_version(model_path: str, base_path: str, manifest: str | None = None) -> tuple[int, str]:
    """Copies a SavedModel to a new version. Earlier versions stay.

    Files are hard links where the file system allows it: a version then takes no bytes beside the Trainer's artifact,
    and outlives it.

    On a file system the copy is made under a name that servers ignore and then renamed, so that the version appears
    whole. An object store has no such rename: there `saved_model.pb` comes last, and a server retries until it is
    there.

    Args:
      model_path: The SavedModel.
      base_path: The folder of versions.
      manifest: The model's manifest (`serving.manifest`), of the files that are copied; made here when missing.

    Returns:
      The version and its path.

    Raises:
      OSError: The copy failed, such as on a full disk. Nothing is left behind.
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
        if "://" in model_path:
            io_utils.copy_dir(model_path, str(model))
        else:
            _link_files(Path(model_path), model)
        (model / MANIFEST).write_text(manifest, encoding="utf-8")
        model.rename(path)
        return version, path


def _link_files(source: Path, target: Path) -> None:
    """Gives the files of a folder second names in another, or copies them: to another file system, or without links."""
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        second = target / file.relative_to(source)
        second.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file, second)
        except OSError:
            shutil.copyfile(file, second)


def _versions(base_path: str) -> set[int]:
    """Returns the versions that were pushed, withdrawn ones included."""
    folders = [folder for folder in (base_path, base_path.rstrip("/") + WITHDRAWN) if fileio.exists(folder)]
    names = [str(name).rstrip("/") for folder in folders for name in fileio.listdir(folder)]
    return {int(name) for name in names if name.isdigit()}


def _copy_model_last(model_path: str, path: str, manifest: str) -> None:
    name = "saved_model.pb"
    io_utils.copy_dir(model_path, path, deny_regex_patterns=[r"saved_model\.pb$"])
    io_utils.write_string_file(posixpath.join(path, MANIFEST), manifest)
    io_utils.copy_file(posixpath.join(model_path, name), posixpath.join(path, name))
