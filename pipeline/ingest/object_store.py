"""Tables on S3, by Arrow's client: Beam's makes a new client for each file that it lists, opens or measures.

The credentials, the region and the endpoint are those of the AWS tools: AWS_ACCESS_KEY_ID, AWS_DEFAULT_REGION,
AWS_ENDPOINT_URL, ~/.aws or the machine's role.
"""

import functools
import io
import os
import posixpath
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, NamedTuple, cast

SCHEME: Final = "s3://"
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


def find(pattern: str) -> list[Found]:
    """Returns the objects that match a URI with `*`, `**`, `?` and `[...]`, by name. Raises OSError."""
    from pyarrow.fs import FileSelector

    glob = _GLOB.search(pattern)
    name = pattern.removeprefix(SCHEME)
    if glob is None:
        found = _client().get_file_info([name])
    else:
        folder = posixpath.dirname(pattern[: glob.start()]).removeprefix(SCHEME)
        found = _client().get_file_info(FileSelector(folder, allow_not_found=True, recursive=True))
    expression = re.compile("".join(_as_regex(name)))
    files = [info for info in found if info.is_file and (glob is None or expression.fullmatch(info.path))]
    return sorted(Found(f"{SCHEME}{info.path}", info.size, info.mtime_ns) for info in files)


def open_object(path: str) -> BinaryIO:
    """Opens an object for reading. Raises OSError."""
    file = _client().open_input_file(path.removeprefix(SCHEME))
    return cast(BinaryIO, io.BufferedReader(file, _PART))


def _as_regex(glob: str) -> Iterator[str]:
    last = 0
    for found in _GLOB.finditer(glob):
        yield re.escape(glob[last : found.start()])
        yield _AS_REGEX.get(found[0], found[0].replace("[!", "[^"))
        last = found.end()
    yield re.escape(glob[last:])


@functools.cache
def _client() -> Any:
    from pyarrow.fs import S3FileSystem

    scheme, _, host = (os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or "").partition(
        "://"
    )
    return S3FileSystem(endpoint_override=host or None, scheme=scheme or None)
