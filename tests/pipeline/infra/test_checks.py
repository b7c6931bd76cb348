from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from config import Config
from pipeline.infra.checks import (
    Answer,
    Probe,
    answer_faults,
    approximate_batch_faults,
    batch_faults,
    batches,
    metadata_faults,
    read_probes,
)
from pipeline.infra.validation import recommendation_faults
from serving.client import Metadata, Recommendation, Signature, TensorSpec
from tests.pipeline.infra.conftest import window, write_split
from tests.trainer.export.index.test_approximate import MAKERS, SIZE, clustered, compiled, search


def test_probes_exclude_the_target_and_end_with_a_request_that_knows_nothing(tmp_path: Path) -> None:
    files = write_split(tmp_path, [window(["a", "b"]), window(["c"]), window(["d", "e"])])
    first, second, nobody = read_probes(files, count=2, k=5, exclude_history=True)
    assert first.forbidden == {"a", "b"}
    assert second.forbidden == {"c"}
    assert nobody.forbidden == frozenset()
    features = tf.train.Example.FromString(first.example).features.feature
    assert list(features["exclude_item_id"].bytes_list.value) == [b"b"]
    assert list(features["k"].int64_list.value) == [5]
    assert set(tf.train.Example.FromString(nobody.example).features.feature) == {"k"}
    assert read_probes(files, count=1, k=5, exclude_history=False)[0].forbidden == {"b"}


def test_every_second_probe_is_asked_now(tmp_path: Path) -> None:
    windows = [window(["a", "b"], time=[10, 20]), window(["c", "d", "e"], time=[10, 20, 30], is_positive=[1, 0, 1])]
    now, then, _ = read_probes(write_split(tmp_path, windows), count=2, k=5, exclude_history=True)
    times = [tf.train.Example.FromString(p.example).features.feature["time"].int64_list.value for p in (now, then)]
    assert [list(values) for values in times] == [[10], [10, 30]]
    assert then.forbidden == {"c", "e"}


def test_batches_are_of_about_one_size() -> None:
    probes = [Probe(b"", n, frozenset()) for n in range(17)]
    for most, sizes in ((17, [17]), (20, [17]), (4, [3, 3, 4, 3, 4])):
        parts = batches(probes, most)
        assert [len(part) for part in parts] == sizes
        assert [probe for part in parts for probe in part] == probes


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
