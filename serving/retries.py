"""Which failed calls are tried again, and when: the policy of both clients."""

import random
import time
from typing import Final

import grpc

_RETRIED: Final = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
"""What a server that goes away answers. A gRPC server that shuts down resets the calls that it has received but not yet
looked at; a client sees CANCELLED then, and no such call was answered."""


class Retries:
    """The attempts of one call. UNAVAILABLE and CANCELLED are tried again, inside the call's deadline.

    Args:
      timeout: Of the whole call, seconds.
      attempts: At most so many.
    """

    def __init__(self, timeout: float, attempts: int) -> None:
        self._end = time.monotonic() + timeout
        self._attempts = attempts
        self._failed = 0

    @property
    def seconds_left(self) -> float:
        """For the next attempt."""
        return max(self._end - time.monotonic(), 0.001)

    def pause_after(self, code: grpc.StatusCode) -> float | None:
        """Seconds before the next attempt, after one that failed with `code`; None: there is to be none."""
        pause = _backoff(self._failed)
        self._failed += 1
        is_last = self._failed == self._attempts or time.monotonic() + pause >= self._end
        return None if is_last or code not in _RETRIED else pause


def _backoff(attempt: int) -> float:
    """Seconds before the attempt after number `attempt` (from 0): doubling from 0.1 to 2, with jitter."""
    return min(0.1 * 2**attempt, 2.0) * random.uniform(0.5, 1.0)
