"""A recommendation request, and its form on the wire, a serialized tf.Example."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from serving.client import wire

Value = str | bytes | int | float
"""An int becomes an int64, a float a float in the tf.Example: send a numeric feature as float."""

Bound = int | float | datetime
"""The bound of a numeric attribute, or of a time: a datetime, without a zone in that of the machine."""

_OWN_FEATURES: Final = frozenset(
    {"user_id", "item_id", "time", "exclude_item_id", "allow_item_id", "candidate_item_id", "diversity", "k"}
)
_NO_SECONDS: Final = 10**11
"""Seconds of the year 5138; milliseconds since 1970 have been greater since 1973."""


@dataclass(frozen=True, slots=True)
class Request:
    """A user and their context. Every attribute may be left out.

    Attributes:
      user_id: The user's id.
      history: Item ids, oldest first.
      times: Seconds since 1970 of the history's events, 0 where one is unknown; one more is the request's own time.
      features: Further features of the tf.Example by their full name, such as `user_gender` (one value) or
        `context_device` (one value for each event and, optionally, one for the request).
      exclude: Item ids never to recommend.
      k: The number of items; the model's default for None.
      allow: The only item ids to recommend. Requires a model with `serving.allow_list`.
      any_of: Values that items must have one of, by attribute. Requires `serving.filters`, as the next two.
      at_least: Lower bounds, by attribute.
      at_most: Upper bounds, by attribute.
      diversity: From 0 to 1. Requires `serving.diversity`.
      caps: How many items may share a value, by attribute; negative for no cap. Requires `serving.diversity`.

    Raises:
      ValueError: An attribute is out of range, or the lengths of `history` and `times` do not fit.
    """

    user_id: str | None = None
    history: Sequence[str] = ()
    times: Sequence[int] = ()
    features: Mapping[str, Value | Sequence[Value]] = field(default_factory=dict)
    exclude: Sequence[str] = ()
    k: int | None = None
    allow: Sequence[str] = ()
    any_of: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    at_least: Mapping[str, Bound] = field(default_factory=dict)
    at_most: Mapping[str, Bound] = field(default_factory=dict)
    diversity: float | None = None
    caps: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.k is not None and self.k < 1:
            raise ValueError(f"`k` should be a positive integer. Received: k={self.k}")
        if self.diversity is not None and not 0 <= self.diversity <= 1:
            raise ValueError(f"`diversity` should be from 0 to 1. Received: diversity={self.diversity}")
        n = 1 if isinstance(self.history, str) else len(self.history)
        if self.times and len(self.times) not in (n, n + 1):
            raise ValueError(
                f"`times` should hold {n} or {n + 1} values, as `history` holds {n}. Received: {self.times}"
            )
        if self.times and max(self.times) >= _NO_SECONDS:
            raise ValueError(f"`times` should be seconds since 1970, not milliseconds. Received: {max(self.times)}")
        own = sorted(_OWN_FEATURES & set(self.features))
        if own:
            raise ValueError(f"`features` should not name arguments of Request. Received: {', '.join(own)}")


def encode_example(request: Request, candidates: Sequence[str] = ()) -> bytes:
    """Returns the request as a serialized tf.Example with the features of `docs/reference/data-layout.md`.

    Args:
      request: The request.
      candidates: Ids of items to explain or rank.

    Raises:
      TypeError: The values of a feature are of several types.
    """
    example = wire.Example()
    values: dict[str, Any] = {
        **request.features,
        "user_id": [] if request.user_id is None else request.user_id,
        "item_id": request.history,
        "time": request.times,
        "exclude_item_id": request.exclude,
        "k": [] if request.k is None else request.k,
        "allow_item_id": request.allow,
        "candidate_item_id": candidates,
        "diversity": [] if request.diversity is None else float(request.diversity),
        **{f"filter_{name}": wanted for name, wanted in request.any_of.items()},
        **{f"min_{name}": _number(bound) for name, bound in request.at_least.items()},
        **{f"max_{name}": _number(bound) for name, bound in request.at_most.items()},
        **{f"cap_{name}": cap for name, cap in request.caps.items()},
    }
    for name, value in values.items():
        several = [value] if isinstance(value, str | bytes | int | float) else list(value)
        if not several:
            continue
        feature = example.features.feature[name]
        if all(isinstance(v, str | bytes) for v in several):
            feature.bytes_list.value.extend(v.encode() if isinstance(v, str) else v for v in several)
        elif all(isinstance(v, int) for v in several):
            feature.int64_list.value.extend(several)
        elif all(isinstance(v, int | float) for v in several):
            feature.float_list.value.extend(several)
        else:
            raise TypeError(f"feature `{name}` should hold strings, or integers, or floats alone. Received: {several}")
    return bytes(example.SerializeToString())


def _number(bound: Bound) -> int | float:
    """Returns a number as a float, a time as whole seconds since 1970."""
    return int(bound.timestamp()) if isinstance(bound, datetime) else float(bound)
