import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from serving import callers, config_files
from serving.batching import Batcher, Feeds
from serving.batching_parameters import BatchingParameters
from serving.errors import ServingError


class Graph:
    """Doubles `x`; notes the rows of every run; fails on a negative number."""

    def __init__(self, gate: threading.Event | None = None) -> None:
        self.sizes: list[int] = []
        self._gate = gate

    def run(self, feeds: Feeds, fetches: Sequence[str]) -> list[np.ndarray]:
        if self._gate is not None:
            self._gate.wait(10)
        x = feeds["x"]
        self.sizes.append(len(x))
        if (x < 0).any():
            raise ValueError("negative")
        return [2 * x for _ in fetches]


def _column(*values: float) -> Feeds:
    return {"x": np.array(values, np.float32)[:, None]}


def test_calls_that_come_together_run_together_and_get_their_own_rows() -> None:
    graph, observed = Graph(), list[int]()
    batcher = Batcher(graph.run, BatchingParameters(max_rows=6, timeout=5.0, threads=1), observed.append)
    with ThreadPoolExecutor(3) as callers:
        calls = [callers.submit(batcher.run, _column(n, n + 0.5), ["y"]) for n in (1, 2, 3)]
        answers = [call.result(timeout=5)[0].ravel().tolist() for call in calls]
    assert answers == [[2.0, 3.0], [4.0, 5.0], [6.0, 7.0]]
    assert graph.sizes == observed == [6]
    batcher.close()


def test_a_lonely_call_waits_no_longer_than_the_timeout() -> None:
    batcher = Batcher(Graph().run, BatchingParameters(max_rows=100, timeout=0.05, threads=1), lambda rows: None)
    started = time.monotonic()
    assert batcher.run(_column(1), ["y"])[0].tolist() == [[2.0]]
    assert 0.04 < time.monotonic() - started < 2.0
    batcher.close()


def test_other_shapes_and_outputs_are_not_joined() -> None:
    graph = Graph()
    batcher = Batcher(graph.run, BatchingParameters(max_rows=100, timeout=0.2, threads=1), lambda rows: None)
    with ThreadPoolExecutor(3) as callers:
        narrow = callers.submit(batcher.run, _column(1), ["y"])
        wide = callers.submit(batcher.run, {"x": np.ones([1, 2], np.float32)}, ["y"])
        both = callers.submit(batcher.run, _column(1), ["y", "z"])
        assert (narrow.result()[0].shape, wide.result()[0].shape, len(both.result())) == ((1, 1), (1, 2), 2)
    assert graph.sizes == [1, 1, 1]
    batcher.close()


def test_batches_are_filled_up_to_an_allowed_size() -> None:
    graph = Graph()
    parameters = BatchingParameters(max_rows=8, threads=1, allowed_rows=(4, 8))
    batcher = Batcher(graph.run, parameters, lambda rows: None)
    assert batcher.run(_column(1, 2, 3), ["y"])[0].ravel().tolist() == [2.0, 4.0, 6.0]
    assert graph.sizes == [4]
    batcher.close()


def test_an_error_reaches_every_caller_and_the_next_batch_runs() -> None:
    batcher = Batcher(Graph().run, BatchingParameters(threads=1), lambda rows: None)
    with pytest.raises(ValueError, match="negative"):
        batcher.run(_column(-1), ["y"])
    assert batcher.run(_column(1), ["y"])[0].tolist() == [[2.0]]
    batcher.close()


def test_too_many_waiting_calls_are_turned_away() -> None:
    gate = threading.Event()
    graph = Graph(gate)
    batcher = Batcher(graph.run, BatchingParameters(max_rows=1, max_waiting_batches=1, threads=1), lambda rows: None)
    with ThreadPoolExecutor(8) as callers:
        calls = [callers.submit(batcher.run, _column(1), ["y"]) for _ in range(8)]
        refused = [c for c in calls if isinstance(_error_of(c, gate), ServingError)]
    assert refused
    assert all("queue" in str(c.exception()) for c in refused)
    assert len(graph.sizes) == 8 - len(refused)
    batcher.close()


def _error_of(call: "object", gate: threading.Event) -> object:
    time.sleep(0.02)
    gate.set()
    return call.exception(timeout=5)  # type: ignore[attr-defined]


def test_closing_ends_the_threads() -> None:
    batcher = Batcher(Graph().run, BatchingParameters(threads=2), lambda rows: None)
    batcher.run(_column(1), ["y"])
    batcher.close()
    end = time.monotonic() + 5
    while any(thread.name.startswith("batch-") for thread in threading.enumerate()) and time.monotonic() < end:
        time.sleep(0.01)
    assert not any(thread.name.startswith("batch-") for thread in threading.enumerate())


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({"a": np.ones([2]), "b": np.ones([3])}, "must have equal 0th-dimension size"),
        ({"a": np.float32(1).reshape([])}, "at least one dimension"),
        ({"a": np.ones([1001])}, "Task size 1001 is larger"),
    ],
)
def test_feeds_that_cannot_be_joined(feeds: Feeds, message: str) -> None:
    batcher = Batcher(Graph().run, BatchingParameters(threads=1), lambda rows: None)
    with pytest.raises(ServingError, match=message):
        batcher.run(feeds, ["y"])
    batcher.close()


def test_a_large_call_is_split_where_that_is_asked_for() -> None:
    graph = Graph()
    parameters = BatchingParameters(max_rows=7, batch_rows=3, threads=1)
    batcher = Batcher(graph.run, parameters, lambda rows: None)
    assert batcher.run(_column(1, 2, 3, 4, 5, 6, 7), ["y"])[0].ravel().tolist() == [2, 4, 6, 8, 10, 12, 14]
    assert graph.sizes == [3, 3, 1]
    with pytest.raises(ServingError, match="Task size 8 is larger than maximum input batch size 7"):
        batcher.run(_column(*range(8)), ["y"])
    batcher.close()


def test_what_has_no_room_in_parts_is_told_how_much_there_is() -> None:
    gate = threading.Event()
    parameters = BatchingParameters(max_rows=8, batch_rows=4, max_waiting_batches=2, threads=1)
    batcher = Batcher(Graph(gate).run, parameters, lambda rows: None)
    with ThreadPoolExecutor(2) as callers:
        calls = [callers.submit(batcher.run, _column(*[1] * rows), ["y"]) for rows in (4, 6)]
        time.sleep(0.1)  # the first is computed, the second waits as batches of 4 and 2
        with pytest.raises(ServingError) as raised:
            batcher.run(_column(1, 1, 1), ["y"])
        gate.set()
        assert [len(call.result(timeout=5)[0]) for call in calls] == [4, 6]
    assert raised.value.message == (
        "The batch scheduling queue to which this task was submitted is full; task size is 3 but scheduling capacity "
        "is only 2 (num_enqueued_batches=2, max_enqueued_batches=2, open_batch_size=2, max_execution_batch_size=4)"
    )
    batcher.close()


def test_what_nobody_waits_for_any_more_is_not_computed() -> None:
    gate = threading.Event()
    graph = Graph(gate)
    batcher = Batcher(graph.run, BatchingParameters(max_rows=2, threads=1), lambda rows: None)
    gone = threading.Event()

    def call_and_go() -> list[np.ndarray]:
        with callers.waiting(lambda: not gone.is_set()):
            return batcher.run(_column(2), ["y"])

    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(batcher.run, _column(1, 1), ["y"])
        time.sleep(0.05)  # the first batch is under way
        second, third = threads.submit(call_and_go), threads.submit(batcher.run, _column(3), ["y"])
        time.sleep(0.05)
        gone.set()
        gate.set()
        assert third.result(timeout=5)[0].tolist() == [[6.0]]
        with pytest.raises(ServingError, match="The caller has gone"):
            second.result(timeout=5)
    assert first.result()[0].tolist() == [[2.0], [2.0]]
    assert graph.sizes == [2, 1]
    batcher.close()


def _parameters(path: Path, text: str) -> BatchingParameters:
    (path / "batching").write_text(text)
    return config_files.read_batching_parameters(str(path / "batching"))


def test_what_a_file_leaves_open_has_tensorflow_servings_default(tmp_path: Path) -> None:
    read = _parameters(tmp_path, "batch_timeout_micros { value: 2000 } num_batch_threads { value: 3 }")
    assert read == BatchingParameters(max_rows=1000, timeout=0.002, max_waiting_batches=10, threads=3)
    assert _parameters(tmp_path, "max_enqueued_batches { value: 0 }").max_waiting_batches == 1
    text = "max_batch_size { value: 8 } max_execution_batch_size { value: 4 }"
    split = "enable_large_batch_splitting { value: true }"
    assert _parameters(tmp_path, text).limit == 8
    assert _parameters(tmp_path, f"{text} {split}").limit == 4
    assert _parameters(tmp_path, f"max_batch_size {{ value: 8 }} {split}").limit == 8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_batch_size {}", "input_batch_size_limit must be positive; was 0"),
        ("num_batch_threads { value: 0 }", "num_batch_threads must be positive; was 0"),
        (
            "max_enqueued_batches { value: 0 } enable_large_batch_splitting { value: true }",
            "max_enqueued_batches must be positive; was 0",
        ),
        ("batch_timeout_micros { value: -1 }", "batch_timeout_micros must be non-negative; was -1"),
        ("allowed_batch_sizes: [4, 16]", "must match max_batch_size; last entry was 16; expected 1000"),
        (
            "max_batch_size { value: 2 } max_execution_batch_size { value: 4 } "
            "enable_large_batch_splitting { value: true }",
            "greater than or equal to max_execution_batch_size",
        ),
    ],
)
def test_parameters_that_cannot_be(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ServingError, match=message) as raised:
        _parameters(tmp_path, text)
    assert raised.value.code.name == "INVALID_ARGUMENT"
