"""Typed requests and answers of the client, and their form on the wire."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import prod
from typing import Any, Final

from serving import tensor_coding, wire

Value = str | bytes | int | float
"""int stays int64 and float stays float in the tf.Example: send a numeric feature as float."""

Bound = int | float | datetime
"""Of a numeric attribute a number, of a time a datetime with its zone (without one: the machine's)."""

SIGNATURE: Final = "serving_default"
EXPLAIN: Final = "explain"
FEATURES: Final = "request_features"
"""The signature whose outputs are what the model reads of requests."""
SIGNATURE_DEF: Final = "signature_def"
STATES: Final = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}
_STRING: Final = 7
_DTYPES: Final = {1: "float32", 2: "float64", 3: "int32", 7: "string", 9: "int64", 10: "bool"}
_ARRAY_CODES: Final = {1: "f", 2: "d", 3: "i", 9: "q", 10: "b"}
_FIELDS: Final = {1: "float_val", 2: "double_val", 3: "int_val", 7: "string_val", 9: "int64_val", 10: "bool_val"}
_OWN_FEATURES: Final = frozenset(
    {"user_id", "item_id", "time", "exclude_item_id", "allow_item_id", "candidate_item_id", "diversity", "k"}
)
_PART: Final = "utility_"
_NO_SECONDS: Final = 10**11
"""Seconds since 1970 from here on are of the year 5138: milliseconds are, from 1973 on."""


class AnswerError(ValueError):
    """The server's answer is not what a recommender answers: another kind of model, or a broken one."""


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
        n = len(self.history)
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


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One item: its utility (`score`, which orders the answer) and every other score the model gives it by name."""

    item_id: str
    score: float
    scores: dict[str, float]


@dataclass(frozen=True, slots=True)
class Influence:
    """An event of the history: its item, how much it raised the utility (negative: lowered it), and its place, 1 for
    the newest."""

    item_id: str
    effect: float
    age: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an item has its utility (`score`): what each of the model's scores contributes to it (`parts`, whose sum it
    is) and the events that moved it most, the strongest first."""

    item_id: str
    score: float
    parts: dict[str, float]
    events: list[Influence]

    @property
    def shares(self) -> dict[str, float]:
        """The parts divided by the sum of their sizes: a negative one lowers the utility."""
        total = sum(map(abs, self.parts.values())) or 1.0
        return {name: part / total for name, part in self.parts.items()}


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """The state of one version of the model; `error` is empty where it is well."""

    version: int
    state: str
    error: str


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """What a signature says of an input or output; -1 is a dimension of any size, no shape one of any rank."""

    dtype: str
    shape: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Signature:
    """The inputs and outputs of a signature, by name."""

    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]


@dataclass(frozen=True, slots=True)
class Metadata:
    """The version that answers now, and its signatures by name."""

    version: int
    signatures: dict[str, Signature]


def encode_example(request: Request, candidates: Sequence[str] = ()) -> bytes:
    """The request as a serialized tf.Example, as `docs/data-layout.md` lays it out; `candidates` are items to explain
    or rank."""
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


def predict_request(model_name: str, examples: Sequence[bytes], signature: str = SIGNATURE) -> Any:
    """A PredictRequest for one batch of serialized tf.Examples."""
    message = wire.PredictRequest()
    message.model_spec.name = model_name
    message.model_spec.signature_name = signature
    tensor = message.inputs["examples"]
    tensor.dtype = _STRING
    tensor.tensor_shape.dim.add(size=len(examples))
    tensor.string_val.extend(examples)
    return message


def status_request(model_name: str) -> Any:
    """A GetModelStatusRequest for all versions."""
    message = wire.GetModelStatusRequest()
    message.model_spec.name = model_name
    return message


def metadata_request(model_name: str) -> Any:
    """A GetModelMetadataRequest for the signatures."""
    message = wire.GetModelMetadataRequest(metadata_field=[SIGNATURE_DEF])
    message.model_spec.name = model_name
    return message


def recommendations(response: Any) -> list[list[Recommendation]]:
    """A PredictResponse's rows: as many items in each as its `count` says. Raises `AnswerError`."""
    missing = {"item_id", "score", "count"} - set(response.outputs)
    if missing:
        found = ", ".join(sorted(response.outputs))
        raise AnswerError(f"the answer lacks {', '.join(sorted(missing))}. Received: {found}")
    columns = {name: tensor_rows(tensor) for name, tensor in response.outputs.items()}
    counts = [int(row[0]) for row in columns.pop("count")]
    for name, rows in columns.items():
        widths = [len(row) for row in rows]
        if len(widths) != len(counts) or any(width < n for width, n in zip(widths, counts, strict=True)):
            raise AnswerError(f"`{name}` should hold {counts} values in its rows, as `count` says. Received: {widths}")
    return [_items({name: rows[i][:count] for name, rows in columns.items()}) for i, count in enumerate(counts)]


def explanations(response: Any) -> list[Explanation]:
    """The answer of `explain` to one request. Raises `AnswerError`."""
    wanted = {"item_id", "score", "count", "event_item_id", "event_effect", "event_age", "event_count"}
    if missing := wanted - set(response.outputs):
        raise AnswerError(f"the answer lacks {', '.join(sorted(missing))}. Received: {', '.join(response.outputs)}")
    columns = {name: tensor_rows(tensor)[0] for name, tensor in response.outputs.items()}
    count, events = columns["count"][0], columns["event_count"][0]
    width = len(columns["event_age"]) // max(len(columns["item_id"]), 1)
    parts = {n.removeprefix(_PART): values for n, values in columns.items() if n.startswith(_PART)}
    return [
        Explanation(
            columns["item_id"][i].decode(),
            columns["score"][i],
            {name: values[i] for name, values in parts.items()},
            [
                Influence(columns["event_item_id"][e].decode(), columns["event_effect"][e], columns["event_age"][e])
                for e in range(i * width, i * width + events)
            ],
        )
        for i in range(count)
    ]


def _items(columns: dict[str, list[Any]]) -> list[Recommendation]:
    ids, scores = columns.pop("item_id"), columns.pop("score")
    others = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)] or [{} for _ in ids]
    return [Recommendation(i.decode(), s, o) for i, s, o in zip(ids, scores, others, strict=True)]


def tensor_rows(tensor: Any) -> list[list[Any]]:
    """A tensor of rank 1 or more as one flat list for each index of the first dimension."""
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    size, rows = prod(shape), shape[0]
    if tensor.tensor_content and tensor.dtype == _STRING:
        values: list[Any] = tensor_coding.split(tensor.tensor_content, size)
    elif tensor.tensor_content:
        values = array(_ARRAY_CODES[tensor.dtype], tensor.tensor_content).tolist()
    else:
        values = list(getattr(tensor, _FIELDS[tensor.dtype]))
        if values:
            values += values[-1:] * (size - len(values))
    width = size // rows if rows else 0
    return [values[row * width : (row + 1) * width] for row in range(rows)]


def metadata(response: Any) -> Metadata:
    """A GetModelMetadataResponse, typed."""
    signatures = wire.SignatureDefMap.FromString(response.metadata[SIGNATURE_DEF].value).signature_def
    return Metadata(
        response.model_spec.version.value,
        {name: Signature(_specs(s.inputs), _specs(s.outputs)) for name, s in sorted(signatures.items())},
    )


def version_states(response: Any) -> list[VersionStatus]:
    """A GetModelStatusResponse, typed."""
    return [
        VersionStatus(v.version, STATES.get(v.state, str(v.state)), v.status.error_message)
        for v in response.model_version_status
    ]


def _specs(infos: Any) -> dict[str, TensorSpec]:
    specs = {}
    for name, info in sorted(infos.items()):
        shape = None if info.tensor_shape.unknown_rank else tuple(dim.size for dim in info.tensor_shape.dim)
        specs[name] = TensorSpec(_DTYPES.get(info.dtype, str(info.dtype)), shape)
    return specs


def _fill_feature(feature: Any, name: str, values: list[Any]) -> None:
    if all(isinstance(v, str | bytes) for v in values):
        feature.bytes_list.value.extend(v.encode() if isinstance(v, str) else v for v in values)
    elif all(isinstance(v, int) for v in values):
        feature.int64_list.value.extend(values)
    elif all(isinstance(v, int | float) for v in values):
        feature.float_list.value.extend(values)
    else:
        raise TypeError(f"feature `{name}` should hold strings, or integers, or floats alone. Received: {values}")
