"""Which calls are answered now, which wait and which are turned away: work is bounded whatever callers send."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import grpc

from serving.server.errors import ServingError, exhausted

_POLL_SECONDS: Final = 0.25


class Admission:
    """Lets `slots` calls be answered at once and `queue` more wait for one of them.

    Args:
      slots: Calls that run the graph at the same time.
      queue: Calls that may wait; one more is turned away at once, which tells a caller sooner than a deadline.
    """

    def __init__(self, slots: int, queue: int) -> None:
        self._slots = threading.BoundedSemaphore(slots)
        self._queue = queue
        self._waiting = 0
        self._lock = threading.Lock()

    @contextmanager
    def slot(self, is_wanted: Callable[[], bool]) -> Iterator[None]:
        """Holds a slot inside the block.

        Args:
          is_wanted: Says whether the caller still waits: has not gone, its deadline not passed. Late work is dropped.

        Raises:
          ServingError: RESOURCE_EXHAUSTED where the queue is full; DEADLINE_EXCEEDED where the caller has gone.
        """
        if not self._slots.acquire(blocking=False):
            self._wait(is_wanted)
        try:
            if not is_wanted():
                raise _late()
            yield
        finally:
            self._slots.release()

    def _wait(self, is_wanted: Callable[[], bool]) -> None:
        with self._lock:
            if self._waiting >= self._queue:
                raise exhausted(f"{self._waiting} calls wait already (--max_queued_calls): try again later")
            self._waiting += 1
        try:
            while not self._slots.acquire(timeout=_POLL_SECONDS):
                if not is_wanted():
                    raise _late()
        finally:
            with self._lock:
                self._waiting -= 1


def _late() -> ServingError:
    return ServingError(grpc.StatusCode.DEADLINE_EXCEEDED, "the caller has gone, or its deadline has passed")
