"""What the log of requests costs: one server without it, with a sample of 10 % and with all requests, in turns.

    python -m benchmarks.serving --only logging --repeat 12 --seconds 1

It is one process, whose model config file changes between the loads, because two servers with the same flags differ by
more than the log costs. The machine's other work differs from turn to turn, so each rate is compared with that without
a log in the same turn.
"""

import os
import time
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
_POLL_SECONDS: Final = 0.2


@dataclass(frozen=True)
class Cost:
    """A sampling rate: the requests a second and the server's CPU milliseconds for a request, by turn."""

    rate: float
    per_second: tuple[float, ...]
    cpu_ms: tuple[float, ...]


def measure(folder: Path, turns: int, seconds: float) -> list[Cost]:
    """Sends a closed loop of 8 callers at each sampling rate in each turn, the rates in another order each time."""
    found: dict[float, list[tuple[float, float]]] = {rate: [] for rate in RATES}
    config = folder / "models.config"
    _configure(config, folder, 0.0)
    flags = ["--model_base_path=", f"--model_config_file={config}", "--request_log_max_files=4"]
    flags.append(f"--model_config_file_poll_wait_seconds={_POLL_SECONDS}")
    with (folder / "server.log").open("w+") as log, processes.embedded(folder, log, flags) as server:
        for turn in range(turns):
            for rate in np.roll(RATES, turn).tolist():
                _configure(config, folder, rate)
                time.sleep(3 * _POLL_SECONDS)
                before = _cpu_seconds(server.pid)
                sample = processes.sample(Load(server.address, str(folder), seconds, _CALLERS))
                count = len(sample.milliseconds)
                found[rate].append((count / sample.seconds, 1e3 * (_cpu_seconds(server.pid) - before) / count))
    return [Cost(rate, *map(tuple, zip(*of, strict=True))) for rate, of in found.items()]


def table(costs: list[Cost]) -> Table:
    """A row for each rate; the ratio is the median over the turns."""
    made = plain_table(("logged",), ("req/s", "of unlogged", "CPU ms a request"), f"{_CALLERS} callers")
    for cost in costs:
        ratio = np.median(np.array(cost.per_second) / costs[0].per_second)
        row = (f"{np.median(cost.per_second):,.0f}", f"{ratio:.3f}", f"{np.median(cost.cpu_ms):.3f}")
        made.add_row(f"{cost.rate:.0%}", *row)
    return made


def model_config(folder: Path, rate: float) -> str:
    """Returns the model config file of the model in `folder`, logged at a rate."""
    logging = (
        f'logging_config {{ log_collector_config {{ type: "tfrecord" filename_prefix: "{folder}/logs/{rate}" }} '
        f"sampling_config {{ sampling_rate: {rate} }} }}"
    )
    model = f'name: "{MODEL_NAME}" base_path: "{folder / MODEL_NAME}" {logging if rate else ""}'
    return f"model_config_list {{ config {{ {model} }} }}"


def _configure(config: Path, folder: Path, rate: float) -> None:
    """Writes the model config file in one step, as the server may read it at any time."""
    part = config.with_suffix(".part")
    part.write_text(model_config(folder, rate))
    part.rename(config)


def _cpu_seconds(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
