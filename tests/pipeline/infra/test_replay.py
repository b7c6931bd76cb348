"""Answers of a server against the Trainer's; the server is started as TensorFlow Serving would be."""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from config.serving import InfraConfig
from pipeline.infra.candidate import MODEL_NAME, CandidateError, ServerMissingError, serve_candidate
from pipeline.infra.checks import Latency, Probe, latency_faults, measure_latency, percentile
from pipeline.infra.replay import Answer, differences, replay_faults
from serving.client import RecommenderClient
from tests.pipeline.infra.conftest import write_model_and_answers
from trainer.export.prediction_log import GOLDEN_RESPONSES_FILE, read_prediction_log

ROOT = Path(__file__).parents[3]


def _script(path: Path, *lines: str) -> str:
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return str(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifacts of a model."""
    path = tmp_path_factory.mktemp("replay")
    write_model_and_answers(path)
    return path


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """The model behind a binary that takes TensorFlow Serving's flags: the embedded server under another name."""
    binary = _script(folder / "server", f'cd {ROOT} && exec {sys.executable} -m serving.server "$@"')
    with serve_candidate(str(folder / "model" / "Format-Serving"), InfraConfig(binary=binary), 300.0) as found:
        assert found.startswith("unix:")  # nothing of it is on the network
        yield found


def test_the_same_model_answers_alike_on_every_signature(folder: Path, address: str) -> None:
    calls = read_prediction_log(str(folder / "model_run" / GOLDEN_RESPONSES_FILE))
    with RecommenderClient(address, MODEL_NAME, timeout=60.0) as client:
        signatures = list(client.metadata().signatures)
    assert len(calls) == 8
    assert len(signatures) == 8
    assert list(replay_faults(address, MODEL_NAME, calls, signatures)) == []


def test_an_answer_that_differs_and_a_signature_that_was_not_asked_are_faults(folder: Path, address: str) -> None:
    calls = read_prediction_log(str(folder / "model_run" / GOLDEN_RESPONSES_FILE))
    (call,) = (call for call in calls if call.request.model_spec.signature_name == "retrieve")
    call.response.outputs["like"].float_val[:] = []
    call.response.outputs["like"].tensor_content = np.full([2, 3], 0.9, np.float32).tobytes()
    unasked, different, *_ = replay_faults(address, MODEL_NAME, [call], ["retrieve", "rank", "__init"])
    assert unasked == "signature `rank`: the Trainer's model run holds no golden response for it"
    assert different.startswith("signature `retrieve`: `like` differs from the Trainer's: ")


def test_a_call_that_fails_is_a_fault(folder: Path, address: str) -> None:
    (call, *_) = read_prediction_log(str(folder / "model_run" / GOLDEN_RESPONSES_FILE))
    call.request.model_spec.signature_name = "gone"
    (fault,) = replay_faults(address, MODEL_NAME, [call], [])
    assert fault.startswith("signature `gone`: ")


def test_latency_is_measured_over_all_requests(address: str) -> None:
    with RecommenderClient(address, MODEL_NAME, timeout=60.0) as client:
        latency = measure_latency(client, [Probe(b"", 1, frozenset())], 9)
    assert 0 < latency.p50 <= latency.p99 < 60_000


def test_a_binary_that_cannot_load_the_model_is_the_models_fault(tmp_path: Path) -> None:
    binary = _script(tmp_path / "server", "echo starting; echo 'Failed to start server: no such op' >&2; exit 1")
    with (
        pytest.raises(CandidateError, match="could not load the model: Failed to start server: no such op"),
        serve_candidate(str(tmp_path), InfraConfig(binary=binary), 60.0),
    ):
        pass


def test_a_candidates_server_sees_no_gpu(tmp_path: Path) -> None:
    binary = _script(tmp_path / "server", 'echo "devices: $CUDA_VISIBLE_DEVICES"; exit 1')
    with (
        pytest.raises(CandidateError, match="devices: -1"),
        serve_candidate(str(tmp_path), InfraConfig(binary=binary), 60.0),
    ):
        pass


def test_a_server_that_is_not_there_is_named_with_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for infra, words in (
        (InfraConfig(binary="no_such_server"), "`serving.infra.binary` should be .* no_such_server"),
        (InfraConfig(image="tensorflow/serving"), "`serving.infra.image` needs Docker"),
    ):
        with pytest.raises(ServerMissingError, match=words), serve_candidate(str(tmp_path), infra, 60.0):
            pass


def test_docker_mounts_the_version_and_its_container_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _script(tmp_path / "docker", f'echo "$@" >> {tmp_path}/calls', "exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "model").mkdir()
    with (
        pytest.raises(CandidateError, match="ended with status 1"),
        serve_candidate(str(tmp_path / "model"), InfraConfig(image="serving:9"), 60.0),
    ):
        pass
    run, removed = (line.split() for line in (tmp_path / "calls").read_text().splitlines())
    assert run[:3] == ["run", "--rm", "--init"]
    assert f"--volume={tmp_path}/model:/models/candidate/1:ro" in run
    assert run[run.index("serving:9") :][1:] == [
        "--port=8500",
        "--model_name=candidate",
        "--max_num_load_retries=0",
        "--file_system_poll_wait_seconds=0",
        "--model_base_path=/models/candidate",
    ]
    name = next(word.removeprefix("--name=") for word in run if word.startswith("--name="))
    assert removed == ["rm", "--force", name]


def test_what_docker_itself_cannot_do_is_no_fault_of_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _script(tmp_path / "docker", "echo 'docker: Cannot connect to the Docker daemon.' >&2; echo >&2", "exit 125")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    words = "`serving.infra.image` could not be run: docker: Cannot connect to the Docker daemon."
    with (
        pytest.raises(ServerMissingError, match=re.escape(words)),
        serve_candidate(str(tmp_path), InfraConfig(image="serving:9"), 60.0),
    ):
        pass


def _ranked(ids: list[bytes], scores: list[float], like: list[float]) -> Answer:
    return {
        "item_id": np.array([ids], object),
        "score": np.array([scores], np.float32),
        "like": np.array([like], np.float32),
        "count": np.array([len(ids)], np.int32),
    }


EXPECTED = _ranked([b"a", b"b", b"c"], [3.0, 2.0, 1.0], [0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        (_ranked([b"a", b"b", b"c"], [3.0, 2.00001, 1.0], [0.1, 0.2, 0.3]), None),
        (_ranked([b"a", b"b", b"z"], [3.0, 2.0, 1.0], [0.1, 0.2, 0.9]), None),  # a tie at the end
        (_ranked([b"a", b"b", b"c"], [3.0, 2.1, 1.0], [0.1, 0.2, 0.3]), "`score` differs from the Trainer's: 2.1"),
        (_ranked([b"a", b"b", b"c"], [3.0, 2.0, 1.0], [0.1, 0.2, 0.4]), "`like` differs"),
        (_ranked([b"a", b"z", b"c"], [3.0, 2.0, 1.0], [0.1, 0.2, 0.3]), "'b' is missing, the Trainer's number 2"),
        (_ranked([b"a", b"b"], [3.0, 2.0], [0.1, 0.2]), "should have the shape"),
        ({**EXPECTED, "count": np.array([2], np.int32)}, "`count` differs"),
        ({"score": EXPECTED["score"]}, "the outputs should be count, item_id, like, score"),
    ],
)
def test_ranked_answers_are_compared_by_item(found: Answer, fault: str | None) -> None:
    faults = list(differences(EXPECTED, found))
    assert bool(faults) == (fault is not None)
    assert fault is None or fault in faults[0]


def test_near_ties_may_swap() -> None:
    ours = _ranked([b"a", b"b", b"c"], [2.00001, 2.0, 1.0], [0.1, 0.2, 0.3])
    theirs = _ranked([b"b", b"a", b"c"], [2.0, 2.0, 1.0], [0.2, 0.1, 0.3])
    assert list(differences(ours, theirs)) == []


def test_classes_are_compared_as_items_are() -> None:
    def answer(names: list[bytes], shares: list[float]) -> Answer:
        return {"genre": np.array([[*names, b""]], object), "genre_probability": np.array([[*shares, 0.0]])}

    expected = answer([b"war", b"noir", b"drama"], [0.5, 0.3, 0.2])
    assert list(differences(expected, answer([b"war", b"noir", b"drama"], [0.5, 0.3, 0.2]))) == []
    assert list(differences(expected, answer([b"war", b"noir", b"crime"], [0.5, 0.3, 0.2]))) == []
    for wrong in (
        answer([b"noir", b"war", b"drama"], [0.5, 0.3, 0.2]),
        answer([b"x", b"noir", b"war"], [0.5, 0.3, 0.2]),
    ):
        assert list(differences(expected, wrong))


def test_ranks_may_move_and_labels_may_not() -> None:
    expected = {"target_rank": np.array([5.0]), "user_key": np.array([7])}
    assert list(differences(expected, {**expected, "target_rank": np.array([6.0])})) == []
    assert list(differences(expected, {**expected, "user_key": np.array([8])})) == [
        "`user_key` differs from the Trainer's"
    ]


def test_percentiles_are_values_that_were_measured() -> None:
    assert (percentile([3.0, 1.0, 2.0], 50), percentile([3.0, 1.0, 2.0], 99)) == (2.0, 3.0)
    assert percentile([float(n) for n in range(1, 201)], 99) == 198.0


def test_only_a_limit_that_is_set_and_exceeded_is_a_fault() -> None:
    latency = Latency(5.0, 50.0)
    assert list(latency_faults(latency, InfraConfig())) == []
    assert list(latency_faults(latency, InfraConfig(max_p50_ms=5.0, max_p99_ms=49.5))) == [
        "p99 latency should be at most 49.5 ms (`serving.infra.max_p99_ms`). Found: 50.00 ms"
    ]


def test_events_of_nearly_the_same_effect_may_swap() -> None:
    ids = np.array([[[b"a", b"b", b"c", b"d"]]], object)
    ages = np.array([[[1, 2, 3, 4]]])
    ours: Answer = {
        "event_item_id": ids,
        "event_age": ages,
        "event_effect": np.array([[[0.9, 0.5, -0.50001, 0.1]]], np.float32),
    }
    swap = [0, 2, 1, 3]
    assert list(differences(ours, {name: values[..., swap] for name, values in ours.items()})) == []
    late = {**ours, "event_item_id": np.array([[[b"a", b"b", b"c", b"x"]]], object)}  # perhaps as strong as the next
    assert list(differences(ours, late)) == []
    other = {**ours, "event_age": np.array([[[5, 2, 3, 4]]])}
    assert list(differences(ours, other)) == ["`event_age` differs from the Trainer's"]
    weaker = {**ours, "event_effect": np.array([[[0.8, 0.5, -0.50001, 0.1]]], np.float32)}
    assert next(differences(ours, weaker)).startswith("`|event_effect|` differs")
