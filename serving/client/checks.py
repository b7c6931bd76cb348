"""What the clients tell of requests that a model answers, but hardly as the caller means them."""

import sys
import time
import warnings
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from serving.client.answers import Metadata
from serving.client.calls import FEATURES
from serving.client.request import Request

_DAY: Final = 86_400
_FAR: Final = 366 * _DAY
"""Seconds behind the newest event from which on a request's time is told."""


class RequestWarning(UserWarning):
    """A request says something that the model cannot use, or that is hardly meant."""


class RequestChecks:
    """Warns of requests, of each kind of trouble and of each unknown feature once for a client.

    What is looked at is at hand: times and names. What the model knows is asked for once, when features are sent.
    """

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._known: Collection[str] | None = None

    def tell_times(self, requests: Sequence[Request]) -> None:
        """Warns of times that are no moments of the requests' histories."""
        for request in requests:
            if request.times:
                for kind, text in time_troubles(request, time.time()):
                    self._tell(kind, text)

    def has_unknown(self, requests: Sequence[Request]) -> bool:
        """Whether a request names a feature that is neither known nor told of: then `metadata` should be asked for."""
        return any(True for _ in self._unknown(requests))

    def tell_features(self, requests: Sequence[Request], metadata: Metadata | None) -> None:
        """Warns of features that the model does not know; of none where it does not say what it knows (None)."""
        signature = None if metadata is None else metadata.signatures.get(FEATURES)
        self._known = None if signature is None else frozenset(signature.outputs)
        for name in sorted(set(self._unknown(requests))):
            if self._known is None:
                self._told.add(name)  # a server that does not say is not asked again for the same names
            else:
                known = ", ".join(sorted(self._known))
                self._tell(name, f"the model knows no feature `{name}`, so it has no effect. Known: {known}")

    def _unknown(self, requests: Sequence[Request]) -> Iterator[str]:
        known = () if self._known is None else self._known
        for request in requests:
            for name in request.features:
                if name not in known and name not in self._told:
                    yield name

    def _tell(self, kind: str, text: str) -> None:
        if kind not in self._told:
            self._told.add(kind)
            warnings.warn(text, RequestWarning, stacklevel=_level_of_caller())


def time_troubles(request: Request, now: float) -> Iterator[tuple[str, str]]:
    """What is wrong with a request's times: the kind of trouble and a sentence.

    Args:
        request: with times.
        now: seconds since 1970.
    """
    past = [moment for moment in request.times[: len(request.history)] if moment > 0]
    own = request.times[len(request.history)] if len(request.times) > len(request.history) else 0
    if past and past[0] > past[-1]:
        yield (
            "order",
            f"`history` and `times` should be oldest first. Received: the first event at {_told(past[0])}, the last at "
            f"{_told(past[-1])}",
        )
    newest = max(past, default=0)
    future = max(newest, own)
    if future > now + _DAY:
        yield (
            "future",
            f"`times` should be seconds since 1970 that have passed. Received: {_told(future)}, which is yet to come",
        )
    if 0 < own < newest - _DAY:
        yield (
            "before",
            f"the request's own time, the last of `times`, should not be before its history's. Received: "
            f"{_told(own)}; the newest event was at {_told(newest)}. Leave it out where it is not known",
        )
    if newest and own > newest + _FAR:
        yield (
            "after",
            f"the request's own time, the last of `times`, is {(own - newest) // _DAY:,} days after its newest event, "
            f"longer than a model has learned from. Received: {_told(own)}; the newest event was at {_told(newest)}",
        )


def _told(moment: int) -> str:
    try:
        return f"{moment} ({datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC)"
    except (OverflowError, ValueError, OSError):
        return str(moment)


def _level_of_caller() -> int:
    """How many calls away from `warnings.warn` the code is that calls the client."""
    frame: Any = sys._getframe(1)
    level = 1
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] == "serving":
        frame, level = frame.f_back, level + 1
    return level
