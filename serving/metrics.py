"""Counters and latency histograms under TensorFlow Serving's names, as a Prometheus page."""

import threading
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

Labels = tuple[tuple[str, str], ...]

REQUEST_COUNT: Final = ":tensorflow:serving:request_count"
"""TensorFlow calls it /tensorflow/serving/request_count; the page has colons for what Prometheus allows in no name."""
REQUEST_LATENCY: Final = ":tensorflow:serving:request_latency"
RUNTIME_LATENCY: Final = ":tensorflow:serving:runtime_latency"
"""What of a request the graph takes, in a batch or alone."""
BATCH_SIZE: Final = ":tensorflow:serving:batching_session:processed_batch_size"
LOADED_VERSION: Final = ":tensorflow:serving:loaded_version"

LATENCY_BOUNDS: Final = tuple(10 * 1.8**i for i in range(33))
"""Upper bounds in microseconds, up to about 20 minutes."""
SIZE_BOUNDS: Final = tuple(float(2**i) for i in range(14))


@dataclass
class _Histogram:
    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def add(self, value: float) -> None:
        self.counts = self.counts or [0] * (len(self.bounds) + 1)
        self.counts[bisect_right(self.bounds, value)] += 1  # a value on a bound counts above it, as in TensorFlow
        self.total += value


class Metrics:
    """What a server counted; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counters: dict[str, dict[Labels, int]] = {REQUEST_COUNT: {}}
        names = (REQUEST_LATENCY, RUNTIME_LATENCY, BATCH_SIZE)
        self._histograms: dict[str, dict[Labels, _Histogram]] = {name: {} for name in names}

    def count(self, name: str, **labels: str) -> None:
        """Adds one to a counter."""
        with self._lock:
            series = self._counters.setdefault(name, {})
            key = tuple(labels.items())
            series[key] = series.get(key, 0) + 1

    def observe(self, name: str, bounds: tuple[float, ...], value: float, **labels: str) -> None:
        """Adds a value to a histogram with these upper bounds."""
        with self._lock:
            series = self._histograms.setdefault(name, {})
            series.setdefault(tuple(labels.items()), _Histogram(bounds)).add(value)

    def value(self, name: str) -> int:
        """A counter's total over its labels, by TensorFlow's name of it; 0 for what is not counted."""
        with self._lock:
            return sum(self._counters.get(name.replace("/", ":"), {}).values())

    def page(self, loaded: dict[str, list[int]]) -> str:
        """The page; `loaded` is the versions that answer, by model."""
        with self._lock:
            lines = [*self._counter_lines(), *self._histogram_lines()]
        lines.append(f"# TYPE {LOADED_VERSION} gauge")
        for model, versions in sorted(loaded.items()):
            lines += [f"{LOADED_VERSION}{{{_text((('model_name', model), ('version', str(v))))}}} 1" for v in versions]
        return "\n".join(lines) + "\n"

    def _counter_lines(self) -> Iterator[str]:
        for name, series in sorted(self._counters.items()):
            yield f"# TYPE {name} counter"
            for labels, value in series.items():
                yield f"{name}{{{_text(labels)}}} {value}"

    def _histogram_lines(self) -> Iterator[str]:
        for name, series in sorted(self._histograms.items()):
            yield f"# TYPE {name} histogram"
            for labels, histogram in series.items():
                running = 0
                for bound, count in zip((*histogram.bounds, None), histogram.counts, strict=True):
                    running += count
                    limit = "+Inf" if bound is None else f"{bound:g}"
                    yield f"{name}_bucket{{{_text((*labels, ('le', limit)))}}} {running}"
                yield f"{name}_sum{{{_text(labels)}}} {histogram.total:g}"
                yield f"{name}_count{{{_text(labels)}}} {running}"


def _text(labels: Labels) -> str:
    escaped = ((name, value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")) for name, value in labels)
    return ",".join(f'{name}="{value}"' for name, value in escaped)
