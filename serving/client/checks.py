"""Warnings about requests that a model answers, but hardly as the caller means them."""

import sys
import time
import warnings
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from serving.client.answers import Metadata
from serving.client.request import Request

_FEATURES: Final = "request_features"
"""The signature whose outputs are the features that the model reads of requests."""
_DAY: Final = 86_400
_FAR: Final = 366 * _DAY
"""Seconds after the newest event from which on a request's own time is warned of."""


class RequestWarning(UserWarning):
    """A request contains something that the model cannot use, or that is hardly meant."""


class RequestChecks:
    """Warns of requests: of each kind of implausible time and of each unknown feature once for a client.

    Times are checked without a call. The model's features are asked for once, when a request has features.
    """

    def __init__(self) -> None:
        self._warned: set[str] = set()
        self._known: Collection[str] = ()

    def warn_of_times(self, requests: Sequence[Request]) -> None:
        """Warns of times that cannot be those of the requests' histories."""
        for request in requests:
            if request.times:
                for kind, text in implausible_times(request, time.time()):
                    self._warn(kind, text)

    def has_unknown(self, requests: Sequence[Request]) -> bool:
        """Returns whether a request has a feature that is neither known nor warned of; `metadata` is then needed."""
        return bool(self._unknown(requests))

    def warn_of_features(self, requests: Sequence[Request], metadata: Metadata | None) -> None:
        """Warns of features that the model does not know; of none where that cannot be told (None)."""
        signature = None if metadata is None else metadata.signatures.get(_FEATURES)
        if signature is None:  # the server is not asked again for the same names
            self._warned |= self._unknown(requests)
            return
        self._known = signature.outputs.keys()
        known = ", ".join(sorted(self._known))
        for name in sorted(self._unknown(requests)):
            self._warn(name, f"the model knows no feature `{name}`, so it has no effect. Known: {known}")

    def _unknown(self, requests: Sequence[Request]) -> set[str]:
        return {name for request in requests for name in request.features} - set(self._known) - self._warned

    def _warn(self, kind: str, text: str) -> None:
        if kind not in self._warned:
            self._warned.add(kind)
            warnings.warn(text, RequestWarning, stacklevel=_level_of_caller())


def implausible_times(request: Request, now: float) -> Iterator[tuple[str, str]]:
    """Yields what is implausible in a request's times: its kind and a sentence.

    Args:
      request: A request with times.
      now: Seconds since 1970.
    """
    past = [moment for moment in request.times[: len(request.history)] if moment > 0]
    own = request.times[len(request.history)] if len(request.times) > len(request.history) else 0
    newest = max(past, default=0)
    if past and past[0] > past[-1]:
        received = f"the first event at {_date(past[0])}, the last at {_date(past[-1])}"
        yield "order", f"`history` and `times` should be oldest first. Received: {received}"
    if max(newest, own) > now + _DAY:
        received = f"{_date(max(newest, own))}, which is in the future"
        yield "future", f"`times` should be seconds since 1970 that have passed. Received: {received}"
    subject = "the request's own time, the last of `times`,"
    received = f"Received: {_date(own)}; the newest event was at {_date(newest)}"
    if 0 < own < newest - _DAY:
        problem = "should not be before those of its history"
        yield "before", f"{subject} {problem}. {received}. Leave it out where it is not known"
    if newest and own > newest + _FAR:
        problem = f"is {(own - newest) // _DAY:,} days after its newest event, longer than a model has learned from"
        yield "after", f"{subject} {problem}. {received}"


def _date(moment: int) -> str:
    try:
        return f"{moment} ({datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC)"
    except (OverflowError, ValueError, OSError):
        return str(moment)


def _level_of_caller() -> int:
    """Returns how many frames lie between `warnings.warn` and the code that calls the client."""
    frame: Any = sys._getframe(1)
    level = 1
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] == "serving":
        frame, level = frame.f_back, level + 1
    return level
