"""One version number for each push, however many there are at a time."""

import errno
import fcntl
import os
import posixpath
import random
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tfx.dsl.io import fileio

_NO_LOCKS: Final = (errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF)
"""What file systems say that have no locks for folders."""
_PART: Final = ".{}.part"
"""Servers pass over it: no number."""
_DAY: Final = 24 * 60 * 60
"""Seconds, as versions are."""


@contextmanager
def claimed_on_disk(
    base: Path, is_free: Callable[[int], bool], wanted: Callable[[], int]
) -> Iterator[tuple[int, Path]]:
    """A version that is this push's alone, and a folder for it to grow in, which is gone at the end.

    Making a folder fails where it is there: so a version is claimed, also against a machine that locks cannot keep out.
    Where they can, pushes come one after another, and folders that killed ones left are removed.

    Args:
        base: where versions are.
        is_free: whether nobody has pushed a version.
        wanted: the version to begin with.
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
    """Waits until no other process is in here; False where the file system has no locks."""
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
    """A version that is this push's alone, on an object store.

    Who finds another claim beside its own steps back: of two pushes, the later to write its claim sees the other's.
    Both may step back, so each takes a step of its own length.

    Args:
        base: where versions are.
        is_free: whether nobody has pushed a version.
        version: to begin with.
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
    """Removes claims, and what was copied under them, of pushes that began a day ago: they cannot be under way."""
    for name in fileio.listdir(base) if fileio.exists(base) else ():
        found = re.fullmatch(_PART.format(r"(\d+)").replace(".", r"\."), str(name).rstrip("/"))
        if found and int(found[1]) < older_than:
            version = posixpath.join(base, found[1])
            if fileio.exists(version) and not fileio.exists(posixpath.join(version, "saved_model.pb")):
                fileio.rmtree(version)
            fileio.rmtree(posixpath.join(base, str(name)))
