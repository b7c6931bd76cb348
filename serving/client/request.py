"""What a caller asks: a request, and its form on the wire, a serialized tf.Example."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from serving.client import wire

Value = str | bytes | int | float
"""int stays int64 and float stays float in the tf.Example: send a numeric feature as float."""

Bound = int | float | datetime
"""Of a numeric attribute a number, of a time a datetime with its zone (without one: the machine's)."""

_OWN_FEATURES: Final = frozenset(
    {"user_id", "item_id", "time", "exclude_item_id", "allow_item_id", "candidate_item_id", "diversity", "k"}
)
_NO_SECONDS: Final = 10**11
"""Seconds since 1970 from here on are of the year 5138: milliseconds are, from 1973 on."""


@dataclass(frozen=True, slots=True)
class Request:
    """Whom to recommend to, and what is known of them. Everything may be missing.

    history: item ids, oldest first. times: seconds since 1970 of these n events, 0 where one is unknown; one more is
    the request's own.
    features: further features of the tf.Example by their full name, such as `user_gender` (a value) or
    `context_device` (n or n + 1 values). exclude: item ids never to recommend. k: how many items; the model's
    default for None.

    What follows needs a model with the keys of `serving` in brackets. allow: the only ids to recommend [allow_list].
    any_of, at_least, at_most: by the attribute, the values or bounds of the items to recommend [filters]. diversity:
    from 0 to 1, and caps: by the attribute how many items may share a value; negative for no cap [diversity].
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
            unit = "seconds since 1970, and these look like milliseconds or smaller parts"
            raise ValueError(f"`times` should be {unit}. Received: {max(self.times)}")
        own = sorted(_OWN_FEATURES & set(self.features))
        if own:
            raise ValueError(f"`features` should not name what has an argument of its own. Received: {', '.join(own)}")


def encode_example(request: Request, candidates: Sequence[str] = ()) -> bytes:
    """The request as a serialized tf.Example, laid out as `docs/reference/data-layout.md` says.

    `candidates` are items to explain or rank.
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
        **{f"min_{name}": _bound(value) for name, value in request.at_least.items()},
        **{f"max_{name}": _bound(value) for name, value in request.at_most.items()},
        **{f"cap_{name}": cap for name, cap in request.caps.items()},
    }
    for name, value in values.items():
        several = [value] if isinstance(value, str | bytes | int | float) else list(value)
        if several:
            _fill_feature(example.features.feature[name], name, several)
    return bytes(example.SerializeToString())


def _bound(value: Bound) -> int | float:
    """A number as a float, a time as whole seconds since 1970."""
    return int(value.timestamp()) if isinstance(value, datetime) else float(value)


def _fill_feature(feature: Any, name: str, values: list[Any]) -> None:
    if all(isinstance(v, str | bytes) for v in values):
        feature.bytes_list.value.extend(v.encode() if isinstance(v, str) else v for v in values)
    elif all(isinstance(v, int) for v in values):
        feature.int64_list.value.extend(values)
    elif all(isinstance(v, int | float) for v in values):
        feature.float_list.value.extend(values)
    else:
        raise TypeError(f"feature `{name}` should hold strings, or integers, or floats alone. Received: {values}")
