import pytest

from pipeline.infra.checks import Answer, answer_faults, batch_faults, metadata_faults
from pipeline.infra.requests import Probe
from serving.client import Metadata, Recommendation
from serving.messages import Signature, TensorSpec

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
