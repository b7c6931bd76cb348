"""A load generator in a process of its own: reads a `Load` as JSON from its argument and prints a `Sample`.

    python -m benchmarks.serving.load '{"address": "localhost:8500", "folder": "/models", "seconds": 3, "callers": 8}'

Closed loop: each of some callers sends its next request when the last one is answered. Open loop: requests come at
times of their own, whatever the server does, and latency counts from the time at which a request was to be sent, so a
server that stalls cannot hide the requests that it kept from being sent (Tene: How NOT to Measure Latency).
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
import numpy as np
from rich.table import Table

from benchmarks.console import plain_table
from serving.client.clients import PREDICT

MODEL_NAME: Final = "recommender"
_FILE: Final = "requests"
_PREFIX: Final = 4
"""Bytes of the length before each request."""


def write_requests(folder: Path, requests: Iterable[bytes]) -> None:
    """Writes them, each after its length."""
    texts = (len(request).to_bytes(_PREFIX, "little") + request for request in requests)
    (folder / _FILE).write_bytes(b"".join(texts))


def read_requests(folder: Path) -> list[bytes]:
    """What `write_requests` wrote. Raises `ValueError` where that is nothing."""
    data = (folder / _FILE).read_bytes()
    requests, start = [], 0
    while start < len(data):
        end = start + _PREFIX + int.from_bytes(data[start : start + _PREFIX], "little")
        requests.append(data[start + _PREFIX : end])
        start = end
    if not requests:
        raise ValueError(f"the model in {folder} should bring warm-up requests of one row. Found: none")
    return requests


_TIMEOUT: Final = 30.0
_OPTIONS: Final = (("grpc.max_receive_message_length", -1),)


@dataclass(frozen=True)
class Load:
    """What to send.

    Attributes:
        address: of the server.
        folder: of the model's requests; they are sent in turn.
        seconds: how long.
        callers: of a closed loop; of an open one the most calls under way: a request that comes then is sent late.
        rate: requests a second of an open loop; 0 for a closed one.
        arrivals: `poisson`, or `fixed` distances.
    """

    address: str
    folder: str
    seconds: float
    callers: int
    rate: float = 0.0
    arrivals: str = "poisson"


@dataclass(frozen=True)
class Sample:
    """What came of it: `seconds` until the last answer, milliseconds of every answer, the codes of the failures."""

    seconds: float
    milliseconds: list[float]
    failures: dict[str, int] = field(default_factory=dict)


class _Record:
    """Collects from many threads."""

    def __init__(self) -> None:
        self.milliseconds: list[float] = []
        self.failures: dict[str, int] = {}
        self._lock = threading.Lock()

    def answered(self, since: float) -> None:
        self.milliseconds.append((time.perf_counter() - since) * 1e3)

    def failed(self, code: grpc.StatusCode) -> None:
        with self._lock:
            self.failures[code.name] = self.failures.get(code.name, 0) + 1


def run(load: Load) -> Sample:
    """Sends the load."""
    record = _Record()
    requests = read_requests(Path(load.folder))
    with grpc.insecure_channel(load.address, options=_OPTIONS) as channel:
        call = channel.unary_unary(PREDICT)
        call(requests[0], timeout=_TIMEOUT)
        begin = time.perf_counter()
        (_open_loop if load.rate else _closed_loop)(load, requests, call, record)
        seconds = time.perf_counter() - begin
    return Sample(seconds, record.milliseconds, record.failures)


def _closed_loop(load: Load, requests: list[bytes], call: Any, record: _Record) -> None:
    end = time.perf_counter() + load.seconds

    def caller(number: int) -> None:
        while (begin := time.perf_counter()) < end:
            try:
                call(requests[number % len(requests)], timeout=_TIMEOUT)
            except grpc.RpcError as error:
                record.failed(error.code())
            else:
                record.answered(begin)
            number += load.callers

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(load.callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _open_loop(load: Load, requests: list[bytes], call: Any, record: _Record) -> None:
    positions = threading.Semaphore(load.callers)
    begin = time.perf_counter()
    for number, due in enumerate(due_times(load)):
        wait = begin + due - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        positions.acquire()
        answer = call.future(requests[number % len(requests)], timeout=_TIMEOUT)
        answer.add_done_callback(_recorder(record, begin + due, positions))
    for _ in range(load.callers):
        positions.acquire()


def due_times(load: Load) -> Iterator[float]:
    """The seconds after the start at which the requests of an open loop are to be sent."""
    distances = np.random.default_rng(0)
    due = 0.0
    while due < load.seconds:
        yield due
        due += distances.exponential(1 / load.rate) if load.arrivals == "poisson" else 1 / load.rate


def _recorder(record: _Record, due: float, positions: threading.Semaphore) -> Callable[[Any], None]:
    def done(answer: Any) -> None:
        if answer.code() == grpc.StatusCode.OK:
            record.answered(due)
        else:
            record.failed(answer.code())
        positions.release()

    return done


EMBEDDED: Final = "embedded"
STOCK: Final = "stock"
_FEW: Final = 1000
"""With fewer answers the 99.9th percentile is the slowest one."""


@dataclass(frozen=True)
class Row:
    """What one server did under one load; latencies in milliseconds."""

    callers: int
    rate: float
    """The configured requests a second; 0 in a closed loop."""
    requests: int
    per_second: float
    p50: float
    p99: float
    p999: float | None
    failures: dict[str, int]
    peak_megabytes: float
    server: str = EMBEDDED

    @property
    def load(self) -> str:
        """The load by its name."""
        return f"open, {self.rate:,.0f}/s" if self.rate else f"{self.callers} callers"


def row_of(load: Load, sample: Sample, peak_megabytes: float, server: str = EMBEDDED) -> Row:
    """The metrics of a sample."""
    times = sample.milliseconds
    p50, p99, p999 = (float(np.percentile(times, share, method="inverted_cdf")) for share in (50, 99, 99.9))
    return Row(
        callers=load.callers,
        rate=load.rate,
        requests=len(times),
        per_second=len(times) / sample.seconds,
        p50=p50,
        p99=p99,
        p999=p999 if len(times) >= _FEW else None,
        failures=sample.failures,
        peak_megabytes=peak_megabytes,
        server=server,
    )


def table(title: str, bare: float, rows: Sequence[Row]) -> Table:
    """A row for each load and server; `bare` is the graph call's own median milliseconds."""
    title = f"{title}: milliseconds; the graph call alone: {bare:.2f}"
    numbers = ("requests", "failed", "req/s", "p50", "p99", "p99.9", "overhead", "peak MB")
    made = plain_table(("load", "server"), numbers, title)
    for row in rows:
        made.add_row(
            row.load,
            row.server,
            f"{row.requests:,}",
            f"{sum(row.failures.values()):,}",
            f"{row.per_second:,.0f}",
            f"{row.p50:.2f}",
            f"{row.p99:.2f}",
            "" if row.p999 is None else f"{row.p999:.2f}",
            f"{row.p50 - bare:.2f}" if row.callers == 1 and not row.rate else "",
            f"{row.peak_megabytes:,.0f}",
        )
    return made


if __name__ == "__main__":
    json.dump(asdict(run(Load(**json.loads(sys.argv[1])))), sys.stdout)
