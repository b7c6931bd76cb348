"""The checks of a served model: requests whose answers can be judged without knowing the model, and their faults."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from math import isclose, isfinite
from typing import Final, NamedTuple

import tensorflow as tf

from config import feature_names
from config.serving import InfraConfig
from serving.client import Metadata, Recommendation, RecommenderClient
from trainer.export.eval_requests import as_of_now, as_request, read_windows, set_values, values_named

Answer = Sequence[Recommendation]

_SIGNATURES: Final = ("serving_default", "recommend_tensors", "rank")
_RETRIEVAL_SIGNATURES: Final = ("retrieve", "embed_query", "embed_candidate")


@dataclass(frozen=True)
class Probe:
    """A request.

    Attributes:
      example: The serialized tf.Example.
      k: The number of items that are requested.
      forbidden: The items that the answer must not hold.
    """

    example: bytes
    k: int
    forbidden: frozenset[str]


class Latency(NamedTuple):
    """The 50th and the 99th percentile in milliseconds."""

    p50: float
    p99: float


def read_probes(pattern: str, count: int, k: int, exclude_history: bool) -> list[Probe]:
    """Makes requests of the first examples in TFRecord files, and adds one of an unknown user.

    The target event is removed and its item excluded by name. The request keeps its context, and every second one its
    time; the others are of now.

    Args:
      pattern: Of the gzipped TFRecord files.
      count: The number of examples.
      k: The number of items to request.
      exclude_history: Whether the model leaves out the items of the history.
    """
    probes = []
    for number, window in enumerate(read_windows(pattern, count)):
        items = values_named(window, feature_names.ITEM_ID)
        request = as_request(window) if number % 2 else as_of_now(as_request(window))
        set_values(request, feature_names.EXCLUDE_ITEM_ID, items[-1:])
        set_values(request, feature_names.K, [k])
        forbidden = [*(values_named(request, feature_names.ITEM_ID) if exclude_history else ()), *items[-1:]]
        probes.append(Probe(request.SerializeToString(), k, frozenset(item.decode() for item in forbidden)))
    unknown = tf.train.Example()
    set_values(unknown, feature_names.K, [k])
    return [*probes, Probe(unknown.SerializeToString(), k, frozenset())]


def batches(probes: Sequence[Probe], most: int) -> list[Sequence[Probe]]:
    """Splits the probes, in order, into as few batches of at most `most` as possible, of nearly equal size."""
    count = -(-len(probes) // most)
    return [probes[len(probes) * n // count : len(probes) * (n + 1) // count] for n in range(count)]


def metadata_faults(metadata: Metadata, retrieval: bool, multiclass: bool = False) -> Iterator[str]:
    """Yields signatures that the model lacks, and an unfit `serving_default`.

    Args:
      metadata: The served model's.
      retrieval: Whether the model has a retrieval task.
      multiclass: Whether it has a multiclass task.
    """
    wanted = _SIGNATURES + (_RETRIEVAL_SIGNATURES if retrieval else ()) + (("interests",) if multiclass else ())
    for name in wanted:
        if name not in metadata.signatures:
            yield f"the model should have the signature `{name}`. Found: {', '.join(metadata.signatures)}"
    default = metadata.signatures.get("serving_default")
    if default is not None and list(default.inputs) != ["examples"]:
        yield f"`serving_default` should take `examples` alone. Found: {', '.join(default.inputs)}"


def answer_faults(
    number: int, probe: Probe, answer: Answer, tasks: Sequence[str], by_score: bool = True
) -> Iterator[str]:
    """Yields the faults of one answer.

    Args:
      number: The request's number, for the message.
      probe: The request.
      answer: The recommended items.
      tasks: Every item should have a score by each of these.
      by_score: Whether items should be ordered by score; a diverse list is not.
    """
    ids = [item.item_id for item in answer]
    scores = [item.score for item in answer]
    if len(ids) > probe.k:
        yield f"request {number}: at most {probe.k} items were requested. Received: {len(ids)}"
    if not ids and not probe.forbidden:
        yield f"request {number}: no item was recommended"
    if len(set(ids)) < len(ids) or "" in ids:
        yield f"request {number}: items should be distinct ids. Received: {ids}"
    if probe.forbidden & set(ids):
        yield f"request {number}: excluded items were recommended: {sorted(probe.forbidden & set(ids))}"
    if not all(isfinite(value) for item in answer for value in (item.score, *item.scores.values())):
        yield f"request {number}: scores should be finite. Received: {scores}"
    elif by_score and scores != sorted(scores, reverse=True):
        yield f"request {number}: scores should fall. Received: {scores}"
    missing = sorted(set(tasks) - set(answer[0].scores)) if answer else []
    if missing:
        yield f"request {number}: every item should have a score by {', '.join(tasks)}. Missing: {', '.join(missing)}"


def batch_faults(one_by_one: Sequence[Answer], batch: Sequence[Answer]) -> Iterator[str]:
    """Yields requests of one call whose answers differ from those that each gets alone."""
    for number, (alone, together) in enumerate(zip(one_by_one, batch, strict=True)):
        pairs = zip(alone, together, strict=False)
        if len(alone) != len(together) or not all(_is_same(a.score, b.score) for a, b in pairs):
            yield f"request {number}: its answer in a batch differs from its answer alone"


def approximate_batch_faults(one_by_one: Sequence[Answer], batch: Sequence[Answer]) -> Iterator[str]:
    """Yields such requests of a model with an approximate index: an item in both answers should have one score.

    Which items the index misses depends on the call. All of its requests get shortlists as long as the one that
    excludes most needs, so a batch finds items that a request alone does not. At least half of all items should stand
    in both.
    """
    shared = 0
    for number, (alone, together) in enumerate(zip(one_by_one, batch, strict=True)):
        scores = {item.item_id: item.score for item in together}
        both = [(item.score, scores[item.item_id]) for item in alone if item.item_id in scores]
        shared += len(both)
        if not all(_is_same(a, b) for a, b in both):
            yield f"request {number}: the scores of its answer in a batch differ from those of its answer alone"
    found = sum(map(len, one_by_one))
    if 2 * shared < found:
        yield (
            "half of the items that requests get alone should be in their answers in a batch, whatever the index "
            f"misses. Found: {shared} of {found}"
        )


def _is_same(score: float, other: float) -> bool:
    return isclose(score, other, rel_tol=1e-3, abs_tol=1e-4)


def measure_latency(client: RecommenderClient, probes: Sequence[Probe], count: int) -> Latency:
    """Measures `count` requests of now, one after the other, cycling over the probes. Raises `RecommenderError`."""
    milliseconds = []
    now = [as_of_now(tf.train.Example.FromString(probe.example)).SerializeToString() for probe in probes]
    for example in islice(cycle(now), count):
        started = time.perf_counter()
        client.recommend_examples([example])
        milliseconds.append((time.perf_counter() - started) * 1e3)
    return Latency(percentile(milliseconds, 50), percentile(milliseconds, 99))


def percentile(values: Sequence[float], share: float) -> float:
    """Returns the nearest-rank percentile: the smallest value that `share` per cent of the values do not exceed."""
    return sorted(values)[math.ceil(share / 100 * len(values)) - 1]


def latency_faults(latency: Latency, infra: InfraConfig) -> Iterator[str]:
    """Yields the configured limits that the latency exceeds."""
    for name, found, limit in (("p50", latency.p50, infra.max_p50_ms), ("p99", latency.p99, infra.max_p99_ms)):
        if limit is not None and found > limit:
            wanted = f"{name} latency should be at most {limit:g} ms (`serving.infra.max_{name}_ms`)"
            yield f"{wanted}. Found: {found:.2f} ms"
