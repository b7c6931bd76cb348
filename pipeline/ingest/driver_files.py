"""Lets TFX's ExampleGen driver find tables on S3: TensorFlow, by which TFX lists files, knows no `s3://`."""

from typing import NamedTuple

from tfx.dsl.io import filesystem, filesystem_registry
from tfx.dsl.io.filesystem import PathType

from pipeline.ingest import object_store


class S3Filesystem(filesystem.Filesystem):
    """The part of TFX's interface to file systems that its driver calls."""

    SUPPORTED_SCHEMES = [object_store.S3]

    @staticmethod
    def glob(pattern: PathType) -> list[PathType]:
        """Returns the objects that match."""
        return [found.path for found in object_store.find(_text(pattern))]

    @staticmethod
    def stat(path: PathType) -> "_Stat":
        """Returns an object's `length` in bytes and `mtime_nsec`. Raises NotFoundError."""
        found = object_store.stat(_text(path))
        if found is None:
            raise filesystem.NotFoundError(f"{path!r}: no such object")
        return _Stat(found.size, found.modified)


class _Stat(NamedTuple):
    length: int
    mtime_nsec: int


def _text(path: PathType) -> str:
    return path.decode() if isinstance(path, bytes) else path


def register() -> None:
    """Registers it, before TensorFlow's, in this process."""
    filesystem_registry.DEFAULT_FILESYSTEM_REGISTRY.register(S3Filesystem, priority=-1)
