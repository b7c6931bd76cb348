"""What the server counts, for Prometheus, under the names that TensorFlow Serving's dashboards read."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import grpc
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from serving.server.errors import ServingError

_SECONDS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_MICROSECONDS: Final = tuple(1e6 * seconds for seconds in _SECONDS)


class Metrics:
    """Counters, a latency histogram and the loaded versions of one server, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            ":tensorflow:serving:request_count", "Requests.", ["model_name", "status"], registry=registry
        )
        self._latency = Histogram(
            ":tensorflow:serving:request_latency",
            "Microseconds until the answer.",
            ["model_name", "API", "entrypoint"],
            buckets=_MICROSECONDS,
            registry=registry,
        )
        self._versions = Gauge(
            ":tensorflow:serving:loaded_version",
            "1 for a version that answers.",
            ["model_name", "version"],
            registry=registry,
        )

    @contextmanager
    def measured(self, model: str, api: str, entrypoint: str) -> Iterator[None]:
        """Counts what happens inside the block by its status, and times it where it succeeds.

        Args:
          model: The model's name; empty for one that is not served, lest callers fill the memory with names.
          api: `Predict`.
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
        self._latency.labels(model, api, entrypoint).observe((time.perf_counter() - started) * 1e6)

    def answered(self) -> int:
        """Returns how many requests got an answer."""
        samples = (sample for family in self._requests.collect() for sample in family.samples)
        found = (s.value for s in samples if s.name.endswith("_total") and s.labels["status"] == "OK")
        return int(sum(found))

    def set_versions(self, loaded: dict[str, list[int]]) -> None:
        """Takes the versions that answer, by model."""
        self._versions.clear()
        for model, versions in loaded.items():
            for version in versions:
                self._versions.labels(model, str(version)).set(1)

    def page(self) -> bytes:
        """Returns the metrics in Prometheus' text format."""
        return generate_latest(self._registry)
