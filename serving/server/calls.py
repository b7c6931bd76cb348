"""What every call passes through: its error status, its admission and its metrics."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import grpc
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_POLL_SECONDS: Final = 0.25
_BUCKETS_MS: Final = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)


class ServingError(Exception):
    """A request cannot be answered, or a version cannot be loaded.

    Args:
      code: The status that gRPC callers get; REST maps it to an HTTP status.
      message: What was received and, where the caller can act on it, what is allowed.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def invalid_argument(message: str) -> ServingError:
    """Returns the error of a request that is wrong in itself."""
    return ServingError(grpc.StatusCode.INVALID_ARGUMENT, message)


def not_found(message: str) -> ServingError:
    """Returns the error of a model or version that does not exist."""
    return ServingError(grpc.StatusCode.NOT_FOUND, message)


class Admission:
    """Runs `slots` calls at once and lets `queue` more wait for a slot.

    Args:
      slots: Calls that run the graph at the same time.
      queue: Calls that may wait; any further call is refused at once, which callers learn sooner than a deadline.
    """

    def __init__(self, slots: int, queue: int) -> None:
        self._slots = threading.BoundedSemaphore(slots)
        self._queue = queue
        self._waiting = 0
        self._lock = threading.Lock()

    @contextmanager
    def slot(self, is_wanted: Callable[[], bool]) -> Iterator[None]:
        """Holds a slot inside the block.

        Args:
          is_wanted: Returns whether the caller is still connected and its deadline has not passed. Late work is
            dropped.

        Raises:
          ServingError: RESOURCE_EXHAUSTED where the queue is full; DEADLINE_EXCEEDED where the call is not wanted.
        """
        if not self._slots.acquire(blocking=False):
            self._wait(is_wanted)
        try:
            if not is_wanted():
                raise _late()
            yield
        finally:
            self._slots.release()

    def _wait(self, is_wanted: Callable[[], bool]) -> None:
        with self._lock:
            if self._waiting >= self._queue:
                message = f"{self._waiting} calls wait already (--max_queued_calls): try again later"
                raise ServingError(grpc.StatusCode.RESOURCE_EXHAUSTED, message)
            self._waiting += 1
        try:
            while not self._slots.acquire(timeout=_POLL_SECONDS):
                if not is_wanted():
                    raise _late()
        finally:
            with self._lock:
                self._waiting -= 1


def _late() -> ServingError:
    return ServingError(grpc.StatusCode.DEADLINE_EXCEEDED, "the caller has gone, or its deadline has passed")


class Metrics:
    """The Prometheus metrics of one server, in a registry of its own, under TensorFlow Serving's names."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        name = ":tensorflow:serving:{}".format
        self._requests = Counter(name("request_count"), "Requests.", ["model_name", "status"], registry=registry)
        labels, buckets = ["model_name", "API", "entrypoint"], [1000 * ms for ms in _BUCKETS_MS]
        help_ = "Microseconds until the answer."
        self._latency = Histogram(name("request_latency"), help_, labels, buckets=buckets, registry=registry)
        labels, help_ = ["model_name", "version"], "1 for a version that answers."
        self._versions = Gauge(name("loaded_version"), help_, labels, registry=registry)
        labels, help_ = ["model_name", "status_code"], "Requests of the sample that is logged."
        self._logged = Counter(name("request_log_count"), help_, labels, registry=registry)

    @contextmanager
    def measured(self, model: str, entrypoint: str) -> Iterator[None]:
        """Counts a Predict call inside the block by its status, and times it where it succeeds.

        Args:
          model: The model's name; empty for one that is not served, so that callers cannot fill the memory with names.
          entrypoint: `GRPC` or `REST`.
        """
        started = time.perf_counter()
        code = grpc.StatusCode.UNKNOWN
        try:
            yield
            code = grpc.StatusCode.OK
        except ServingError as error:
            code = error.code
            raise
        finally:
            self._requests.labels(model, code.name).inc()
        self._latency.labels(model, "Predict", entrypoint).observe((time.perf_counter() - started) * 1e6)

    def logged(self, model: str, code: grpc.StatusCode) -> None:
        """Counts a request of the sample that is logged; a code other than OK says why it was not."""
        self._logged.labels(model, code.name).inc()

    def answered(self) -> int:
        """Returns the number of requests that were answered with OK."""
        samples = (sample for family in self._requests.collect() for sample in family.samples)
        return int(sum(s.value for s in samples if s.name.endswith("_total") and s.labels["status"] == "OK"))

    def set_versions(self, loaded: dict[str, list[int]]) -> None:
        """Sets the loaded versions, by model."""
        self._versions.clear()
        for model, versions in loaded.items():
            for version in versions:
                self._versions.labels(model, str(version)).set(1)

    def page(self) -> bytes:
        """Returns the metrics in Prometheus' text format.

        prometheus_client ends counters' names in `_total`, and TensorFlow Serving does not.
        """
        return re.sub(rb"(:tensorflow:serving:\w+)_total\b", rb"\1", generate_latest(self._registry))
