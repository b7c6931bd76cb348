"""What a served recommender must do before it is pushed: each check finds what is wrong, or nothing."""

from collections.abc import Iterator, Sequence
from math import isclose, isfinite
from typing import Final

from pipeline.infra.requests import Probe
from serving.client import Metadata, Recommendation

Answer = Sequence[Recommendation]

_SIGNATURES: Final = ("serving_default", "recommend_tensors", "rank")
_RETRIEVAL_SIGNATURES: Final = ("retrieve", "embed_query", "embed_candidate")


def metadata_faults(metadata: Metadata, retrieval: bool, multiclass: bool = False) -> Iterator[str]:
    """Signatures that the model lacks (`retrieval`, `multiclass`: it has such a task), and an unfit
    `serving_default`."""
    wanted = _SIGNATURES + (_RETRIEVAL_SIGNATURES if retrieval else ()) + (("interests",) if multiclass else ())
    for name in wanted:
        if name not in metadata.signatures:
            found = ", ".join(metadata.signatures)
            yield f"the model should have the signature `{name}`. Found: {found}"
    default = metadata.signatures.get("serving_default")
    if default is not None and list(default.inputs) != ["examples"]:
        yield f"`serving_default` should take `examples` alone. Found: {', '.join(default.inputs)}"


def answer_faults(
    number: int, probe: Probe, answer: Answer, tasks: Sequence[str], by_score: bool = True
) -> Iterator[str]:
    """What is wrong with the answer to request `number`; every item should have a score by each of the `tasks`, and
    the items are in its order (`by_score`) or in one of diversity."""
    ids = [item.item_id for item in answer]
    if len(ids) > probe.k:
        yield f"request {number}: at most {probe.k} items were asked for. Received: {len(ids)}"
    if not ids and not probe.forbidden:
        yield f"request {number}: no item was recommended"
    if len(set(ids)) < len(ids) or "" in ids:
        yield f"request {number}: items should be distinct ids. Received: {ids}"
    if probe.forbidden & set(ids):
        yield f"request {number}: excluded items were recommended: {sorted(probe.forbidden & set(ids))}"
    yield from _score_faults(number, answer, tasks, by_score)


def batch_faults(one_by_one: Sequence[Answer], batch: Sequence[Answer]) -> Iterator[str]:
    """Requests of unequal shapes in one call should get the answers that each gets alone."""
    for number, (alone, together) in enumerate(zip(one_by_one, batch, strict=True)):
        pairs = zip(alone, together, strict=False)
        if len(alone) != len(together) or not all(_is_same(a.score, b.score) for a, b in pairs):
            yield f"request {number}: its answer in a batch differs from its answer alone"


def approximate_batch_faults(one_by_one: Sequence[Answer], batch: Sequence[Answer]) -> Iterator[str]:
    """The same of a model whose index may miss an item: an item that stands in both answers should have one score.

    What is missed depends on the call. All of its requests get shortlists as long as the one that excludes most needs,
    so a batch finds items that a request alone does not. Half of all items stand in both at least.
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


def _score_faults(number: int, answer: Answer, tasks: Sequence[str], by_score: bool) -> Iterator[str]:
    scores = [item.score for item in answer]
    if not all(isfinite(value) for item in answer for value in (item.score, *item.scores.values())):
        yield f"request {number}: scores should be finite. Received: {scores}"
    elif by_score and scores != sorted(scores, reverse=True):
        yield f"request {number}: scores should fall. Received: {scores}"
    missing = sorted(set(tasks) - set(answer[0].scores)) if answer else []
    if missing:
        yield f"request {number}: every item should have a score by {', '.join(tasks)}. Missing: {', '.join(missing)}"
