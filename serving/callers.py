"""Whether anybody still waits for the answer that this thread works on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

import grpc

from serving.errors import ServingError

Waits = Callable[[], bool]
_WAITS: Final[ContextVar[Waits | None]] = ContextVar("waits", default=None)


@contextmanager
def waiting(waits: Waits) -> Iterator[None]:
    """In the block, `waits` says whether the caller still waits: it has not cancelled, its deadline not passed."""
    token = _WAITS.set(waits)
    try:
        yield
    finally:
        _WAITS.reset(token)


def current() -> Waits:
    """The caller of this thread's work, for another thread to ask; one that waits for ever when there is none."""
    return _WAITS.get() or _for_ever


def gone() -> ServingError:
    """What work fails with that nobody waits for any more."""
    return ServingError(grpc.StatusCode.CANCELLED, "The caller has gone")


def _for_ever() -> bool:
    return True
