"""Latency, throughput and memory of the embedded server under load, beside the graph call alone, in one run.

    python -m benchmarks.serving    # catalogues of 1,682 and 10^6 items of 64 dimensions, the best 100
    python -m benchmarks.serving --model runs/movielens-100k/serving/recommender/1700000000
    python -m benchmarks.serving --server-binary /usr/bin/tensorflow_model_server    # beside TensorFlow Serving

Server, load generator and graph call are processes of their own on this machine. A closed loop of N callers is followed
by an open loop at a share of the rate that the most callers reached. Of several repetitions the one with the lowest
median counts: other work on the machine only adds. Two servers take turns.
"""

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.progress import Progress

from benchmarks.apart import megabytes
from benchmarks.console import wide_console
from benchmarks.serving import processes, request_log
from benchmarks.serving.load import EMBEDDED, STOCK, Load, Row, row_of, table

_MODELS: Final = {
    "small": ("1,682 items", "--items=1682", "--index=exact"),
    "million": ("10^6 items, exact", "--items=1000000", "--index=exact"),
    "ivf": ("10^6 items, ivf", "--items=1000000", "--index=ivf"),
}
_LOGGING: Final = "logging"
"""Not a catalogue: the cost of the request log, on the small one."""
_WIDTH: Final = 110


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a table for each model, and writes all metrics as JSON."""
    options = _parser().parse_args(arguments)
    run = [(str(options.model), f"--model={options.model}")] if options.model else []
    console = wide_console(_WIDTH)
    results = {}
    for name, *flags in [*run, *(_MODELS[key] for key in options.only if key in _MODELS)]:
        progress = Progress(console=console, transient=True)
        with tempfile.TemporaryDirectory(prefix="bench-serving-") as folder, progress:
            loads = (len(options.callers) + 1) * (2 if options.server_binary else 1)
            task = progress.add_task(f"{name}: the model", total=1 + loads)
            processes.prepare(Path(folder), *flags)
            calls = processes.bare(Path(folder), options.seconds * options.repeat)
            bare = min(float(np.median(part)) for part in np.array_split(calls, options.repeat))
            rows = []
            progress.update(task, advance=1, description=name)
            for row in _rows(Path(folder), options):
                rows.append(row)
                progress.update(task, advance=1, description=f"{name}: {row.load}")
        console.print(table(name, bare, rows))
        results[name] = {"bare_p50_ms": bare, "rows": [asdict(row) for row in rows]}
    if _LOGGING in options.only:
        with tempfile.TemporaryDirectory(prefix="bench-serving-") as folder:
            processes.prepare(Path(folder), *_MODELS["small"][1:])
            costs = request_log.measure(Path(folder), options.repeat, options.seconds)
        console.print(request_log.table(costs))
        results[_LOGGING] = {"rows": [asdict(cost) for cost in costs]}
    _write(options.output, results)


def _rows(folder: Path, options: argparse.Namespace) -> Iterator[Row]:
    with _servers(folder, options.server_binary) as servers:
        common = {"folder": str(folder), "seconds": options.seconds}
        reached = [0.0]
        for callers in options.callers:
            rows = _best(servers, Load("", **common, callers=callers), options.repeat)
            reached.append(min(row.per_second for row in rows))
            yield from rows
        rate = options.share * max(reached)
        load = Load("", **common, callers=options.outstanding, rate=rate, arrivals=options.arrivals)
        yield from _best(servers, load, options.repeat)


@contextmanager
def _servers(folder: Path, binary: str | None) -> Iterator[dict[str, processes.Server]]:
    """The embedded server and, where it is given, TensorFlow Serving, by their names."""
    with ExitStack() as stack:
        logs = {name: stack.enter_context((folder / f"{name}.log").open("w+")) for name in (EMBEDDED, STOCK)}
        servers = {EMBEDDED: stack.enter_context(processes.embedded(folder, logs[EMBEDDED]))}
        if binary:
            servers[STOCK] = stack.enter_context(processes.stock(binary, folder, logs[STOCK]))
        yield servers


def _best(servers: Mapping[str, processes.Server], load: Load, repetitions: int) -> list[Row]:
    best: dict[str, Row] = {}
    for _ in range(repetitions):
        for name, server in servers.items():
            sample = processes.sample(replace(load, address=server.address))
            row = row_of(load, sample, megabytes(server.pid)[0], name)
            best[name] = min(best.get(name, row), row, key=lambda r: r.p50)
    return list(best.values())


def _write(path: Path, results: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    path.write_text(json.dumps({"machine": machine, "models": results}, indent=2) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a pushed version, before the synthetic catalogues")
    parser.add_argument(
        "--only", nargs="*", choices=[*_MODELS, _LOGGING], default=list(_MODELS), help="which measurements"
    )
    parser.add_argument("--server-binary", metavar="FILE", help="TensorFlow Serving, to be measured too")
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 8, 64], help="of the closed loops")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load")
    parser.add_argument("--repeat", type=int, default=1, help="how often each load is sent; the best one counts")
    parser.add_argument("--share", type=float, default=0.7, help="of the highest rate that is sent in the open loop")
    parser.add_argument("--arrivals", choices=("poisson", "fixed"), default="poisson", help="of the open loop")
    parser.add_argument("--outstanding", type=int, default=256, help="most calls under way in the open loop")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/serving.json"), metavar="FILE")
    return parser


if __name__ == "__main__":
    main()
