"""How long a server takes for one request, as one caller sees it."""

import math
import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from typing import NamedTuple

import tensorflow as tf

from config.serving import InfraConfig
from pipeline.infra.requests import Probe
from serving.client import RecommenderClient
from trainer.export.eval_requests import as_of_now


class Latency(NamedTuple):
    """Milliseconds that half, and 99 of 100, of the requests take at most."""

    p50: float
    p99: float


def measure_latency(client: RecommenderClient, probes: Sequence[Probe], count: int) -> Latency:
    """The latency of `count` requests of now, one after the other, over and over the probes. Raises
    `RecommenderError`."""
    milliseconds = []
    now = [as_of_now(tf.train.Example.FromString(probe.example)).SerializeToString() for probe in probes]
    for example in islice(cycle(now), count):
        started = time.perf_counter()
        client.recommend_examples([example])
        milliseconds.append((time.perf_counter() - started) * 1e3)
    return Latency(percentile(milliseconds, 50), percentile(milliseconds, 99))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of the values that `share` per cent of them do not exceed (the nearest-rank percentile)."""
    return sorted(values)[math.ceil(share / 100 * len(values)) - 1]


def latency_faults(latency: Latency, infra: InfraConfig) -> Iterator[str]:
    """The limits that the latency exceeds."""
    for name, found, limit in (("p50", latency.p50, infra.max_p50_ms), ("p99", latency.p99, infra.max_p99_ms)):
        if limit is not None and found > limit:
            wanted = f"{name} latency should be at most {limit:g} ms (`serving.infra.max_{name}_ms`)"
            yield f"{wanted}. Found: {found:.2f} ms"
