"""Samples as metrics, and metrics as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from rich.table import Table

from benchmarks.serving.load import Load, Sample

EMBEDDED: Final = "embedded"
STOCK: Final = "stock"
_FEW: Final = 1000
"""With fewer answers the 99.9th percentile is the slowest one."""


@dataclass(frozen=True)
class Row:
    """What one server did under one load; latencies in milliseconds."""

    callers: int
    rate: float
    """Requests a second that were asked for; 0 in a closed loop."""
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
    made = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in ("load", "server"):
        made.add_column(column, no_wrap=True)
    for column in ("requests", "failed", "req/s", "p50", "p99", "p99.9", "overhead", "peak MB"):
        made.add_column(column, justify="right", no_wrap=True)
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
