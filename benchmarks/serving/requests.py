"""Serialized PredictRequests in a file, for processes that know nothing of TensorFlow."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

MODEL_NAME: Final = "recommender"
_FILE: Final = "requests"
_PREFIX: Final = 4
"""Bytes of the length before each request."""


def write_requests(folder: Path, requests: Iterable[bytes]) -> None:
    """Writes them, each after its length."""
    texts = (len(request).to_bytes(_PREFIX, "little") + request for request in requests)
    (folder / _FILE).write_bytes(b"".join(texts))


def read_requests(folder: Path) -> list[bytes]:
    """What `write_requests` wrote. Raises `ValueError` where that is nothing."""
    data = (folder / _FILE).read_bytes()
    requests, start = [], 0
    while start < len(data):
        end = start + _PREFIX + int.from_bytes(data[start : start + _PREFIX], "little")
        requests.append(data[start + _PREFIX : end])
        start = end
    if not requests:
        raise ValueError(f"the model in {folder} should bring warm-up requests of one row. Found: none")
    return requests
