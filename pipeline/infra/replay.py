"""The Trainer's expected answers against those of a server: the same calls, equal to float tolerance."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import grpc
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow_serving.apis import prediction_service_pb2_grpc

from config import feature_names
from serving.client.clients import OPTIONS

Answer = Mapping[str, NDArray[Any]]

RELATIVE: Final = 1e-3
ABSOLUTE: Final = 1e-4
_RANKS: Final = frozenset(
    f"{kind}{name}"
    for kind in ("", "popularity_")
    for name in ("rank", "target_rank", "request_rank", "cold_rank", "top_items", "novelty", "intra_list_distance")
)
"""Outputs that a last bit of a score may move: they are asked for and not compared."""
_EFFECT: Final = "event_effect"
_EVENTS: Final = ("event_item_id", "event_age")


def replay_faults(address: str, model_name: str, calls: Sequence[Any], signatures: Sequence[str]) -> Iterator[str]:
    """Makes every call (PredictLogs with answers) and yields what is not as expected.

    `signatures` are those that the server tells of: each should be among the calls. Raises nothing for a call that
    fails: that is a fault too.
    """
    asked = {call.request.model_spec.signature_name for call in calls}
    for name in sorted(set(signatures) - asked):
        if not name.startswith("__"):  # what the loader itself left there
            yield f"signature `{name}`: the Trainer's model run holds no expected answer for it"
    with grpc.insecure_channel(address, options=list(OPTIONS.items())) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        for call in calls:
            yield from _call_faults(stub, model_name, call)


def _call_faults(stub: Any, model_name: str, call: Any, timeout: float = 60.0) -> Iterator[str]:
    name = call.request.model_spec.signature_name
    call.request.model_spec.name = model_name
    try:
        response = stub.Predict(call.request, timeout=timeout)
    except grpc.RpcError as error:
        yield f"signature `{name}`: {error.code().name}: {' '.join(error.details().split())}"
        return
    for fault in differences(_arrays(call.response), _arrays(response)):
        yield f"signature `{name}`: {fault}"


def differences(expected: Answer, found: Answer) -> Iterator[str]:
    """Where a server's answer is not the Trainer's.

    Ranked items and classes are compared by name, place by place only in their score: near ties may change places, and
    one item for another at the end.
    """
    if set(expected) != set(found):
        yield f"the outputs should be {', '.join(sorted(expected))}. Received: {', '.join(sorted(found))}"
        return
    shapes = [n for n in sorted(expected) if expected[n].shape != found[n].shape]
    if shapes:
        name = shapes[0]
        yield f"`{name}` should have the shape {expected[name].shape}. Received: {found[name].shape}"
        return
    rankings = list(_rankings(expected))
    by_name = {name for ranking in rankings for name in (ranking.names, *ranking.values)}
    if _EFFECT in expected:
        by_name |= {_EFFECT, *_EVENTS}
        yield from _event_differences(expected, found)
    for name in sorted(set(expected) - _RANKS - by_name | {ranking.score for ranking in rankings}):
        yield from _difference(name, expected[name], found[name])
    for ranking in rankings:
        yield from _ranked_differences(ranking, expected, found)


class _Ranking(NamedTuple):
    """Outputs [B, K] that belong together: names, `b""` behind the last, and float values of which one orders them."""

    names: str
    score: str
    values: Sequence[str]


def _rankings(answer: Answer) -> Iterator[_Ranking]:
    if {feature_names.ITEM_ID, "score"} <= set(answer):
        values = [name for name, value in sorted(answer.items()) if value.ndim == 2 and value.dtype.kind == "f"]
        yield _Ranking(feature_names.ITEM_ID, "score", values)
    for name in sorted(answer):
        if (probability := f"{name}_probability") in answer:
            yield _Ranking(name, probability, [probability])


def _difference(name: str, expected: NDArray[Any], found: NDArray[Any]) -> Iterator[str]:
    if expected.dtype.kind != "f":
        if not np.array_equal(expected, found):
            yield f"`{name}` differs from the Trainer's"
        return
    same = np.isclose(found, expected, RELATIVE, ABSOLUTE, equal_nan=True)
    if not same.all():
        place = tuple(int(i) for i in np.argwhere(~same)[0])
        yield f"`{name}` differs from the Trainer's: {found[place]:g} instead of {expected[place]:g} at {place}"


def _ranked_differences(ranking: _Ranking, expected: Answer, found: Answer) -> Iterator[str]:
    for row in range(len(expected[ranking.names])):
        ours, theirs = (
            {name: place for place, name in enumerate(answer[ranking.names][row].tolist()) if name}
            for answer in (expected, found)
        )
        common = [(ours[name], theirs[name]) for name in ours if name in theirs]
        left, right = np.array(common, int).reshape(-1, 2).T
        for output in ranking.values:
            yield from _difference(output, expected[output][row, left], found[output][row, right])
        scores = expected[ranking.score][row]
        for name in sorted(set(ours) - set(theirs), key=lambda name: ours[name]):
            if not np.isclose(scores[ours[name]], scores[len(ours) - 1], RELATIVE, ABSOLUTE):
                yield f"row {row}: {name.decode(errors='replace')!r} is missing, the Trainer's number {ours[name] + 1}"


def _event_differences(expected: Answer, found: Answer) -> Iterator[str]:
    """Of `explain`: events are in the order of their effects' sizes, in which near ties may change places."""
    ours = np.abs(expected[_EFFECT])
    yield from _difference(f"|{_EFFECT}|", ours, np.abs(found[_EFFECT]))
    is_tie = np.isclose(ours[..., 1:], ours[..., :-1], RELATIVE, ABSOLUTE)
    nothing = np.zeros_like(ours[..., :1], bool)
    is_clear = ~np.concatenate([is_tie, ~nothing], axis=-1) & ~np.concatenate([nothing, is_tie], axis=-1)
    for name in (_EFFECT, *_EVENTS):
        yield from _difference(name, expected[name][is_clear], found[name][is_clear])


def _arrays(response: Any) -> dict[str, NDArray[Any]]:
    return {name: tf.make_ndarray(tensor) for name, tensor in response.outputs.items()}
