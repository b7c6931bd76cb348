"""What the log of requests costs: servers without, with a sample of 10 % and with all requests, in turns.

    python -m benchmarks.serving --only logging --repeat 12 --seconds 1

The machine's other work differs from turn to turn, so each turn's rate is compared with that of the server without a
log in the same turn; the CPU time of the server for a request does not depend on other work as much.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from rich.table import Table

from benchmarks.console import plain_table
from benchmarks.serving import processes
from benchmarks.serving.load import MODEL_NAME, Load

RATES: Final = (0.0, 0.1, 1.0)
_CALLERS: Final = 8


@dataclass(frozen=True)
class Cost:
    """One server: its requests a second and its CPU milliseconds for a request, by turn."""

    rate: float
    per_second: tuple[float, ...]
    cpu_ms: tuple[float, ...]


def measure(folder: Path, turns: int, seconds: float) -> list[Cost]:
    """Sends a closed loop of 8 callers to each server in each turn, the servers in another order each time."""
    found: dict[float, list[tuple[float, float]]] = {rate: [] for rate in RATES}
    with _servers(folder) as servers:
        for turn in range(turns):
            for rate in np.roll(RATES, turn).tolist():
                server, before = servers[rate], _cpu_seconds(servers[rate].pid)
                sample = processes.sample(Load(server.address, str(folder), seconds, _CALLERS))
                count = len(sample.milliseconds)
                found[rate].append((count / sample.seconds, 1e3 * (_cpu_seconds(server.pid) - before) / count))
    return [Cost(rate, *map(tuple, zip(*of, strict=True))) for rate, of in found.items()]


def table(costs: list[Cost]) -> Table:
    """A row for each server; the ratio is the median over the turns."""
    made = plain_table(("logged",), ("req/s", "of unlogged", "CPU ms a request"), f"{_CALLERS} callers")
    for cost in costs:
        ratio = np.median(np.array(cost.per_second) / costs[0].per_second)
        row = (f"{np.median(cost.per_second):,.0f}", f"{ratio:.3f}", f"{np.median(cost.cpu_ms):.3f}")
        made.add_row(f"{cost.rate:.0%}", *row)
    return made


@contextmanager
def _servers(folder: Path) -> Iterator[dict[float, processes.Server]]:
    with ExitStack() as stack:
        log = stack.enter_context((folder / "servers.log").open("w+"))
        yield {
            rate: stack.enter_context(processes.embedded(folder, log, _flags(folder, rate) if rate else ()))
            for rate in RATES
        }


def _flags(folder: Path, rate: float) -> list[str]:
    config = folder / f"models-{rate}.config"
    config.write_text(
        f'model_config_list {{ config {{ name: "{MODEL_NAME}" base_path: "{folder / MODEL_NAME}" logging_config {{ '
        f'log_collector_config {{ type: "tfrecord" filename_prefix: "{folder}/logs-{rate}/log" }} '
        f"sampling_config {{ sampling_rate: {rate} }} }} }} }}"
    )
    return ["--model_base_path=", f"--model_config_file={config}", "--request_log_max_files=4"]


def _cpu_seconds(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
