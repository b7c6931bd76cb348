"""Replays the Trainer's prediction log on a server: answers should equal the golden responses to float tolerance."""

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
_TIMEOUT: Final = 60.0
"""Seconds for a call."""
_RANKS: Final = frozenset(
    f"{kind}{name}"
    for kind in ("", "popularity_")
    for name in ("rank", "target_rank", "request_rank", "cold_rank", "top_items", "novelty", "intra_list_distance")
)
"""Outputs that the last bit of a score may change: they are requested and not compared."""
_EFFECT: Final = "event_effect"
_EVENTS: Final = ("event_item_id", "event_age")


def replay_faults(address: str, model_name: str, log: Sequence[Any], signatures: Sequence[str]) -> Iterator[str]:
    """Sends every request of a prediction log and yields where the answer is not the golden response.

    Args:
      address: The server's.
      model_name: The model's name on the server.
      log: PredictLogs with responses.
      signatures: The signatures in the server's metadata: each should be in the log.
    """
    logged = {entry.request.model_spec.signature_name for entry in log}
    for name in sorted(set(signatures) - logged):
        if not name.startswith("__"):  # the loader's own
            yield f"signature `{name}`: the Trainer's model run holds no golden response for it"
    with grpc.insecure_channel(address, options=list(OPTIONS.items())) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        for entry in log:
            name = entry.request.model_spec.signature_name
            entry.request.model_spec.name = model_name
            try:
                response = stub.Predict(entry.request, timeout=_TIMEOUT)
            except grpc.RpcError as error:
                yield f"signature `{name}`: {error.code().name}: {' '.join(error.details().split())}"
                continue
            for fault in differences(_arrays(entry.response), _arrays(response)):
                yield f"signature `{name}`: {fault}"


def differences(expected: Answer, found: Answer) -> Iterator[str]:
    """Yields where a server's answer differs from the Trainer's.

    Ranked items and classes are matched by name, and only scores are compared by position: near ties may swap, and
    another item may stand at the end.
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
    """Outputs [B, K] that belong together: names, padded with `b""`, and float values of which one orders them."""

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
        index = tuple(int(i) for i in np.argwhere(~same)[0])
        yield f"`{name}` differs from the Trainer's: {found[index]:g} instead of {expected[index]:g} at {index}"


def _ranked_differences(ranking: _Ranking, expected: Answer, found: Answer) -> Iterator[str]:
    for row in range(len(expected[ranking.names])):
        ours, theirs = (
            {name: rank for rank, name in enumerate(answer[ranking.names][row].tolist()) if name}
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
    """Compares the events of `explain`, which are ordered by the size of their effects; near ties may swap."""
    ours = np.abs(expected[_EFFECT])
    yield from _difference(f"|{_EFFECT}|", ours, np.abs(found[_EFFECT]))
    is_tie = np.isclose(ours[..., 1:], ours[..., :-1], RELATIVE, ABSOLUTE)
    nothing = np.zeros_like(ours[..., :1], bool)
    is_clear = ~np.concatenate([is_tie, ~nothing], axis=-1) & ~np.concatenate([nothing, is_tie], axis=-1)
    for name in (_EFFECT, *_EVENTS):
        yield from _difference(name, expected[name][is_clear], found[name][is_clear])


def _arrays(response: Any) -> dict[str, NDArray[Any]]:
    return {name: tf.make_ndarray(tensor) for name, tensor in response.outputs.items()}
