"""Beam's own counters, which its runners show."""

from typing import Final

import apache_beam as beam

from pipeline.ingest.findings import ERRORS, Counts

NAMESPACE: Final = "pipeline.ingest"


def count_in_beam(counts: Counts) -> None:
    """Adds to Beam's counters: `interactions.dropped.duplicate` and the like. Only inside a DoFn."""
    for path, number in counts.items():
        if path[0] != ERRORS:
            beam.metrics.Metrics.counter(NAMESPACE, ".".join(path)).inc(number)
