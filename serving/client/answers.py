"""What a server answers, as typed objects: items, explanations, versions, signatures."""

from array import array
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import prod
from typing import Any, Final

from serving.client import wire

SIGNATURE_DEF: Final = "signature_def"
STATES: Final = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}
_DTYPES: Final = {1: "float32", 2: "float64", 3: "int32", 7: "string", 9: "int64", 10: "bool"}
_ARRAY_CODES: Final = {1: "f", 2: "d", 3: "i", 9: "q", 10: "b"}
_FIELDS: Final = {1: "float_val", 2: "double_val", 3: "int_val", 7: "string_val", 9: "int64_val", 10: "bool_val"}
_PART: Final = "utility_"


class AnswerError(ValueError):
    """The server's answer is not what a recommender answers: another kind of model, or a broken one."""


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
    if tensor.tensor_content and tensor.dtype == wire.DT_STRING:
        values: list[Any] = _strings(tensor.tensor_content, size)
    elif tensor.tensor_content:
        values = array(_ARRAY_CODES[tensor.dtype], tensor.tensor_content).tolist()
    else:
        values = list(getattr(tensor, _FIELDS[tensor.dtype]))
        if values:
            values += values[-1:] * (size - len(values))
    width = size // rows if rows else 0
    return [values[row * width : (row + 1) * width] for row in range(rows)]


def _strings(content: bytes, count: int) -> list[bytes]:
    """The strings of a `tensor_content`: their sizes as varints, then the strings (TensorFlow's tensor_coding.cc)."""
    sizes, at = [], 0
    for _ in range(count):
        size = shift = 0
        while True:
            byte, at = content[at], at + 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        sizes.append(size)
    ends = list(accumulate(sizes, initial=at))
    return [content[start:end] for start, end in pairwise(ends)]


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
