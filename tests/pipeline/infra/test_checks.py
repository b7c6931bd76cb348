from typing import Any

import numpy as np
import pytest

from config import Config
from pipeline.infra.checks import Answer, answer_faults, approximate_batch_faults, batch_faults, metadata_faults
from pipeline.infra.requests import Probe
from pipeline.infra.validation import recommendation_faults
from serving.client import Metadata, Recommendation, Signature, TensorSpec
from tests.trainer.export.index.test_approximate import MAKERS, SIZE, clustered, compiled, search

PROBE = Probe(b"", k=2, forbidden=frozenset({"x"}))


def _answer(*items: tuple[str, float]) -> list[Recommendation]:
    return [Recommendation(item, score, {"like": 0.5}) for item, score in items]


def test_a_sound_answer_has_no_faults() -> None:
    assert list(answer_faults(0, PROBE, _answer(("a", 2.0), ("b", 1.0)), ["like"])) == []
    assert list(answer_faults(0, PROBE, [], ["like"])) == []


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (_answer(("a", 3.0), ("b", 2.0), ("c", 1.0)), "at most 2 items"),
        (_answer(("a", 2.0), ("a", 1.0)), "distinct"),
        (_answer(("a", 2.0), ("", 1.0)), "distinct"),
        (_answer(("x", 2.0)), "excluded items were recommended: ['x']"),
        (_answer(("a", float("nan"))), "finite"),
        (_answer(("a", 1.0), ("b", 2.0)), "should fall"),
        ([Recommendation("a", 1.0, {})], "Missing: like"),
    ],
)
def test_faults_of_answers(answer: Answer, fault: str) -> None:
    (found,) = answer_faults(3, PROBE, answer, ["like"])
    assert found.startswith("request 3: ")
    assert fault in found


def test_diverse_answers_need_no_order() -> None:
    assert list(answer_faults(0, PROBE, _answer(("a", 1.0), ("b", 2.0)), ["like"], by_score=False)) == []


def test_nobody_should_get_something() -> None:
    (found,) = answer_faults(0, Probe(b"", 2, frozenset()), [], [])
    assert "no item was recommended" in found


def test_a_batch_should_answer_as_single_calls_do() -> None:
    alone = [_answer(("a", 1.0)), _answer(("b", 1.0))]
    assert list(batch_faults(alone, [_answer(("a", 1.0 + 1e-6)), _answer(("b", 1.0))])) == []
    (found,) = batch_faults(alone, [_answer(("a", 1.0)), _answer(("b", 1.5))])
    assert found.startswith("request 1: ")


class _Server:
    """Stands for a client: a request's bytes are the number of its query and of the items that it excludes."""

    def __init__(self, index: Any, queries: Any) -> None:
        self._index, self._queries = index, queries
        self.sizes: list[int] = []

    def recommend_examples(self, examples: list[bytes]) -> list[list[Recommendation]]:
        self.sizes.append(len(examples))
        rows, counts = np.array([example.split() for example in examples], int).T
        exclude = np.array([[n if n < count else SIZE for n in range(max(counts))] for count in counts])
        scores, items = search(self._index, self._queries[rows], 30, exclude.reshape(len(rows), -1))
        return [_answer(*zip(map(str, i), s, strict=True)) for i, s in zip(items, scores, strict=True)]


@pytest.mark.parametrize("kind", MAKERS)
def test_what_an_approximate_index_misses_is_no_fault(kind: str, config: Config) -> None:
    items, queries = clustered()
    server = _Server(compiled(MAKERS[kind](items, queries, 30)), queries)
    probes = [Probe(f"{n} {n * 5}".encode(), 30, frozenset()) for n in range(17)]
    (fault, *_) = recommendation_faults(config, server, probes, is_approximate=False)  # type: ignore[arg-type]
    assert "its answer in a batch differs from its answer alone" in fault
    assert server.sizes[17:] == [17]
    assert list(recommendation_faults(config, server, probes, is_approximate=True)) == []  # type: ignore[arg-type]
    assert max(server.sizes[-5:]) == 4, "more at once are searched exactly, as no single request is"


def test_faults_of_batches_that_an_index_does_not_explain() -> None:
    alone = [_answer(("a", 2.0), ("b", 1.0)), _answer(("c", 2.0), ("d", 1.0))]
    missed = [_answer(("x", 3.0), ("a", 2.0)), _answer(("c", 2.0), ("y", 1.5))]
    assert list(approximate_batch_faults(alone, missed)) == []
    (found,) = approximate_batch_faults(alone, [alone[0], _answer(("c", 2.5), ("d", 1.0))])
    assert found.startswith("request 1: the scores")
    (found,) = approximate_batch_faults(alone, [alone[0][:1], []])
    assert found.endswith("Found: 1 of 4")


def test_signatures_that_lack_are_named() -> None:
    signature = Signature({"examples": TensorSpec("string", (-1,))}, {})
    some = Metadata(1, dict.fromkeys(["serving_default", "recommend_tensors", "rank"], signature))
    assert list(metadata_faults(some, retrieval=False)) == []
    assert [f.split("`")[1] for f in metadata_faults(some, retrieval=False, multiclass=True)] == ["interests"]
    assert [f.split("`")[1] for f in metadata_faults(some, retrieval=True)] == [
        "retrieve",
        "embed_query",
        "embed_candidate",
    ]
