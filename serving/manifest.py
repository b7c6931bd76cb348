"""The manifest of a pushed version: the SHA-256 of every file, in a file beside them.

`sha256sum --check manifest.sha256` in the version's folder checks the same. TensorFlow Serving reads only what a
SavedModel names, so it ignores the file. Files that are not listed, such as warm-up requests added by hand, are
allowed.
"""

import hashlib
import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

MANIFEST: Final = "manifest.sha256"
_HEAD: Final = re.compile(r"# SHA-256 of (\d+) files")
"""The first line; its number shows whether the manifest itself is whole."""
_LINE: Final = re.compile(r"([0-9a-f]{64})  (.+)")
_BLOCK: Final = 1 << 20


def make_manifest(folder: str) -> str:
    """Returns the manifest of the files in a folder, on a file system or an object store."""
    names = sorted(name for name in _names(folder) if name != MANIFEST)
    lines = [f"{_digest(posixpath.join(folder, name))}  {name}" for name in names]
    return "\n".join([f"# SHA-256 of {len(names)} files", *lines, ""])


def manifest_fault(folder: str) -> str | None:
    """Compares a folder's files with its manifest. Every file is read once, in blocks.

    Returns:
      A sentence about the first file that differs; an empty one where none does, None where there is no manifest.

    Raises:
      OSError: A file of a file system cannot be read.
      tf.errors.OpError: A file of an object store cannot be read.
    """
    manifest = posixpath.join(folder, MANIFEST)
    if not _exists(manifest):
        return None
    with _open(manifest) as file:
        head, *lines = file.read().decode("utf-8", "replace").removesuffix("\n").split("\n")
    found = [_LINE.fullmatch(line) for line in lines]
    count = _HEAD.fullmatch(head)
    if count is None or len(found) != int(count[1]) or None in found:
        return f"{manifest} is damaged: it should begin with `# SHA-256 of N files`, and N lines should follow"
    for match in filter(None, found):
        path = posixpath.join(folder, match[2])
        if not _exists(path):
            return f"{path} is missing, and {MANIFEST} lists it"
        if _digest(path) != match[1]:
            return f"{path} is not what was pushed: its SHA-256 is another than {MANIFEST} has"
    return ""


def _names(folder: str) -> Iterator[str]:
    """Yields the files below a folder by their path in it, with slashes."""
    for parent, _, files in _gfile().walk(folder) if "://" in folder else os.walk(folder):
        inside = posixpath.relpath(str(parent).rstrip("/"), folder.rstrip("/"))
        yield from (posixpath.normpath(posixpath.join(inside, file)) for file in files)


def _digest(path: str) -> str:
    digest = hashlib.sha256()
    with _open(path) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _exists(path: str) -> bool:
    return bool(_gfile().exists(path)) if "://" in path else Path(path).is_file()


def _open(path: str) -> IO[bytes]:
    return _gfile().GFile(path, "rb") if "://" in path else Path(path).open("rb")


def _gfile() -> Any:
    """Returns TensorFlow's file systems; not imported for a disk, because commands should answer at once."""
    import tensorflow as tf

    return tf.io.gfile
