"""Files of tables on object stores: S3 by Arrow's client, others by Beam's file systems.

Beam's client of S3 is made anew for each file that it lists, opens or measures. Arrow's takes the credentials, the
region and the endpoint of the AWS tools: AWS_ACCESS_KEY_ID, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL, ~/.aws or the
machine's role.
"""

import functools
import io
import os
import posixpath
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, NamedTuple, cast

S3: Final = "s3://"
_PART: Final = 1 << 20
"""Bytes of a request at least, so that lines are not fetched one by one."""
_GLOB: Final = re.compile(r"\*\*|\*|\?|\[[^]]*\]")
_AS_REGEX: Final = {"**": ".*", "*": "[^/]*", "?": "[^/]"}


class Found(NamedTuple):
    """An object.

    Attributes:
      path: Its URI.
      size: In bytes.
      modified: When it was written, in nanoseconds since 1970.
    """

    path: str
    size: int
    modified: int


def is_remote(path: str) -> bool:
    """Returns whether the path is a URI. Beam's and Arrow's clients are imported for these alone: that takes time."""
    return "://" in path


def find(pattern: str) -> list[Found]:
    """Returns the objects that match a URI with `*`, `**`, `?` and `[...]`, by name. Raises OSError or ValueError."""
    if not pattern.startswith(S3):
        from apache_beam.io.filesystems import FileSystems

        (matched,) = FileSystems.match([pattern])
        return sorted(
            Found(found.path, found.size_in_bytes, int(found.last_updated_in_seconds * 10**9))
            for found in matched.metadata_list
        )
    glob = _GLOB.search(pattern)
    if glob is None:
        return _objects([pattern.removeprefix(S3)])
    from pyarrow.fs import FileSelector

    folder = posixpath.dirname(pattern[: glob.start()]).removeprefix(S3)
    expression = re.compile("".join(_as_regex(pattern)))
    found = _objects(FileSelector(folder, allow_not_found=True, recursive=True))
    return sorted(entry for entry in found if expression.fullmatch(entry.path))


def stat(path: str) -> Found | None:
    """Returns an object, whatever characters are in its name; None where there is none. Raises OSError."""
    if path.startswith(S3):
        return next(iter(_objects([path.removeprefix(S3)])), None)
    from apache_beam.io.filesystems import FileSystems

    return find(path)[0] if FileSystems.exists(path) else None


def open_object(path: str) -> BinaryIO:
    """Opens an object for reading. Raises OSError."""
    if path.startswith(S3):
        return cast(BinaryIO, io.BufferedReader(_s3().open_input_file(path.removeprefix(S3)), _PART))
    from apache_beam.io.filesystem import CompressionTypes
    from apache_beam.io.filesystems import FileSystems

    return FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)


def _objects(which: Any) -> list[Found]:
    infos = _s3().get_file_info(which)
    return [Found(f"{S3}{info.path}", info.size, info.mtime_ns) for info in infos if info.is_file]


def _as_regex(glob: str) -> Iterator[str]:
    last = 0
    for found in _GLOB.finditer(glob):
        yield re.escape(glob[last : found.start()])
        yield _AS_REGEX.get(found[0], found[0].replace("[!", "[^"))
        last = found.end()
    yield re.escape(glob[last:])


@functools.cache
def _s3() -> Any:
    from pyarrow.fs import S3FileSystem

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    scheme, _, host = endpoint.partition("://")
    return S3FileSystem(endpoint_override=host or None, scheme=scheme or None)
