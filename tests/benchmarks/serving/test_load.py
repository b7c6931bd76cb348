"""The load generator against a server of one thread in this process."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import pytest

from benchmarks.serving.load import Load, due_times, read_requests, row_of, run, write_requests

STALL = 0.4


class Stalling(grpc.GenericRpcHandler):
    """Answers at once, but for `stall`, which takes `STALL` seconds, and `bad`."""

    def service(self, details: Any) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(self._answer)

    def _answer(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        if request == b"stall":
            time.sleep(STALL)
        if request == b"bad":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "bad")
        return b"answer"


@pytest.fixture
def address() -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((Stalling(),))
    port = server.add_insecure_port("localhost:0")
    server.start()
    yield f"localhost:{port}"
    server.stop(0)


def test_requests_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_requests(tmp_path, [b"one", b"", b"x" * 300])
    assert read_requests(tmp_path) == [b"one", b"", b"x" * 300]
    write_requests(tmp_path, [])
    with pytest.raises(ValueError, match="should bring warm-up requests"):
        read_requests(tmp_path)


def test_arrivals() -> None:
    load = Load("", "", seconds=100.0, callers=1, rate=20.0)
    random = list(due_times(load))
    assert len(random) == pytest.approx(2000, abs=200)
    distances = [later - earlier for earlier, later in pairwise(random)]
    above = sum(distance > 1 / 20 for distance in distances) / len(distances)
    assert above == pytest.approx(0.368, abs=0.04)  # 1 / e of an exponential's values exceed its mean
    fixed = list(due_times(Load("", "", seconds=0.2, callers=1, rate=20.0, arrivals="fixed")))
    assert fixed == pytest.approx([0.0, 0.05, 0.1, 0.15])


@pytest.mark.parametrize("outstanding", [1, 100])
def test_a_stall_shows_in_every_request_that_was_due_in_it(address: str, tmp_path: Path, outstanding: int) -> None:
    write_requests(tmp_path, [b"stall", *[b"quick"] * 1000])
    load = Load(address, str(tmp_path), seconds=0.5, callers=outstanding, rate=50.0, arrivals="fixed")
    times = sorted(run(load).milliseconds, reverse=True)
    assert len(times) == 25
    # Due at 0, 20, 40, ... ms and answered after the stall at 400 ms at the earliest.
    for number, milliseconds in enumerate(times[:20]):
        assert milliseconds >= STALL * 1e3 - 20 * number - 1


def test_a_closed_loop_waits_for_the_answer_and_counts_failures(address: str, tmp_path: Path) -> None:
    write_requests(tmp_path, [b"quick", b"bad"])
    load = Load(address, str(tmp_path), seconds=0.3, callers=2)
    sample = run(load)
    assert set(sample.failures) == {"INVALID_ARGUMENT"}
    row = row_of(load, sample, peak_megabytes=1.0)
    assert row.requests == len(sample.milliseconds)
    assert 0 < row.p50 <= row.p99
    assert row.per_second == pytest.approx(row.requests / sample.seconds)
