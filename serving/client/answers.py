"""The responses of a server as typed objects: items, explanations, versions, signatures."""

from array import array
from dataclasses import dataclass
from math import prod
from typing import Any, Final

from serving.client import wire

SIGNATURE_DEF: Final = "signature_def"
_STATES: Final = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}
_DTYPES: Final = {
    1: ("float32", "f", "float_val"),
    2: ("float64", "d", "double_val"),
    3: ("int32", "i", "int_val"),
    7: ("string", "", "string_val"),
    9: ("int64", "q", "int64_val"),
    10: ("bool", "b", "bool_val"),
}
"""TensorFlow's number of a dtype -> its name, the type code of `array` in `tensor_content`, the typed field."""
_PART: Final = "utility_"


class AnswerError(ValueError):
    """The response is not that of a recommender: another kind of model, or a broken one."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One item, its utility (`score`), which orders the answer, and every other score of the model by name."""

    item_id: str
    score: float
    scores: dict[str, float]


@dataclass(frozen=True, slots=True)
class Influence:
    """An event of the history: its item, how much it raised the utility (negative: lowered it) and its position in the
    history (`age`), 1 for the newest."""

    item_id: str
    effect: float
    age: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an item has its utility (`score`): the contribution of each of the model's scores (`parts`, which sum to it)
    and the events that changed it most, the strongest first."""

    item_id: str
    score: float
    parts: dict[str, float]
    events: list[Influence]

    @property
    def shares(self) -> dict[str, float]:
        """The parts divided by the sum of their absolute values; a negative share lowers the utility."""
        total = sum(map(abs, self.parts.values())) or 1.0
        return {name: part / total for name, part in self.parts.items()}


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """The state of one version of the model; `error` is empty where there is none."""

    version: int
    state: str
    error: str


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An input or output of a signature. A dimension of -1 is of any size; the shape None is of any rank."""

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
    """Returns a PredictResponse's rows: as many items in each as its `count`.

    Raises:
      AnswerError: An output is missing, or holds fewer values than `count`.
    """
    columns = _columns(response, {"item_id", "score", "count"})
    counts = [int(row[0]) for row in columns.pop("count")]
    for name, rows in columns.items():
        widths = [len(row) for row in rows]
        if len(widths) != len(counts) or any(width < n for width, n in zip(widths, counts, strict=True)):
            raise AnswerError(f"`{name}` should hold {counts} values in its rows, as in `count`. Received: {widths}")
    ids, scores = columns.pop("item_id"), columns.pop("score")
    return [
        [
            Recommendation(ids[row][i].decode(), scores[row][i], {name: rows[row][i] for name, rows in columns.items()})
            for i in range(count)
        ]
        for row, count in enumerate(counts)
    ]


def explanations(response: Any) -> list[Explanation]:
    """Returns the response of `explain` to one request.

    Raises:
      AnswerError: An output is missing.
    """
    required = {"item_id", "score", "count", "event_item_id", "event_effect", "event_age", "event_count"}
    columns = {name: rows[0] for name, rows in _columns(response, required).items()}
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


def metadata(response: Any) -> Metadata:
    """Returns a GetModelMetadataResponse, typed."""
    signatures = wire.SignatureDefMap.FromString(response.metadata[SIGNATURE_DEF].value).signature_def
    typed = {name: Signature(_specs(s.inputs), _specs(s.outputs)) for name, s in sorted(signatures.items())}
    return Metadata(response.model_spec.version.value, typed)


def version_states(response: Any) -> list[VersionStatus]:
    """Returns a GetModelStatusResponse, typed."""
    return [
        VersionStatus(v.version, _STATES.get(v.state, str(v.state)), v.status.error_message)
        for v in response.model_version_status
    ]


def tensor_rows(tensor: Any) -> list[list[Any]]:
    """Returns a tensor of rank 1 or more as one flat list for each index of the first dimension."""
    _, code, field = _DTYPES[tensor.dtype]
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    size, rows = prod(shape), shape[0]
    values = array(code, tensor.tensor_content).tolist() if tensor.tensor_content else list(getattr(tensor, field))
    if values:
        values += values[-1:] * (size - len(values))
    width = size // rows if rows else 0
    return [values[row * width : (row + 1) * width] for row in range(rows)]


def _columns(response: Any, required: set[str]) -> dict[str, list[list[Any]]]:
    if missing := required - set(response.outputs):
        found = ", ".join(sorted(response.outputs))
        raise AnswerError(f"the answer lacks {', '.join(sorted(missing))}. Received: {found}")
    return {name: tensor_rows(tensor) for name, tensor in response.outputs.items()}


def _specs(infos: Any) -> dict[str, TensorSpec]:
    specs = {}
    for name, info in sorted(infos.items()):
        shape = None if info.tensor_shape.unknown_rank else tuple(dim.size for dim in info.tensor_shape.dim)
        specs[name] = TensorSpec(_DTYPES[info.dtype][0] if info.dtype in _DTYPES else str(info.dtype), shape)
    return specs
