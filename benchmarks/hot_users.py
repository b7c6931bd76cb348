"""What ingest takes and writes for one user with very many events, by the method of the split.

    python -m benchmarks.hot_users
    python -m benchmarks.hot_users --events 20000 1000000 --splits global_time

Every figure is of a process of its own: the CPU seconds of ingest, over all threads and without the imports; the
megabytes of the splits `eval` and `test` as they lie on disk, in whole and per example; and the largest example. The
log is made: the user never takes an item twice, which is the hardest case.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import tensorflow as tf
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import standard_artifacts

from benchmarks.apart import measured_apart, megabytes
from benchmarks.console import plain_table, wide_console
from config import Config, parse_config
from pipeline.ingest.component import IngestDriver, InteractionExampleGen
from pipeline.ingest.executor import IngestExecutor

SIZES: Final = (20_000, 1_000_000)
METHODS: Final = ("global_time", "random", "user_hash", "leave_last_out")
_OTHERS: Final = 500
"""Users with ten events each, so that every split has a user."""
_START: Final = 1_500_000_000


def main() -> None:
    """Prints seconds and sizes for every number of events and method."""
    arguments = _parser().parse_args()
    if arguments.method:
        print(json.dumps(measure(arguments.events[0], arguments.method)))
        return
    table = plain_table(["events", "split"], ["CPU s", "eval and test, MB", "largest example, KB", "peak, MB"])
    for events in arguments.events:
        for method in arguments.splits:
            found = measured_apart("benchmarks.hot_users", events=events, method=method)
            sizes = [f"{found[name]:,.1f}" for name in ("seconds", "megabytes", "kilobytes", "peak")]
            table.add_row(f"{events:,}", method, *sizes)
    wide_console(100).print(table)


def measure(events: int, method: str) -> dict[str, float]:
    """Runs ingest in this process, on a log whose first user has so many events."""
    with tempfile.TemporaryDirectory(prefix="hot-users-") as folder:
        make_log(events).to_parquet(Path(folder, "log.parquet"), index=False)
        start = time.process_time()
        artifact = ingest(configuration(Path(folder), method), Path(folder, "examples"))
        seconds = time.process_time() - start
        files = [file for split in ("eval", "test") for file in Path(artifact.uri, f"Split-{split}").glob("*.gz")]
        largest = max(len(r) for r in tf.data.TFRecordDataset(list(map(str, files)), "GZIP").as_numpy_iterator())
        size = sum(file.stat().st_size for file in files)
    return {"seconds": seconds, "megabytes": size / 1e6, "kilobytes": largest / 1e3, "peak": megabytes()[0]}


def make_log(events: int, others: int = _OTHERS) -> pd.DataFrame:
    """One user with so many events of as many items, and others with ten each, over the same time."""
    rng = np.random.default_rng(0)
    user = np.concatenate([np.zeros(events, np.int64), 1 + np.repeat(np.arange(others), 10)])
    item = np.concatenate([rng.permutation(events), rng.integers(0, events, 10 * others)])
    when = _START + 60 * np.concatenate([np.arange(events), rng.integers(0, events, 10 * others)])
    return pd.DataFrame({"user": user, "item": item, "time": when})


def configuration(folder: Path, method: str) -> Config:
    """Returns the defaults with a method of the split, under which the first user is in `eval` and `test`."""
    log = {"path": "log.parquet", "user": "user", "item": "item", "time": "time"}
    split: dict[str, object] = {"method": method}
    if method == "user_hash":
        split |= {"eval_share": 0.45, "test_share": 0.5}
    values = {
        "name": "hot-users",
        "data": {"folder": str(folder), "interactions": log},
        "split": split,
        "tasks": {"retrieval": {"kind": "retrieval"}},
    }
    return parse_config(json.dumps(values), "the benchmark of hot users")


def ingest(config: Config, folder: Path) -> standard_artifacts.Examples:
    """Runs ingest as the component does, without metadata."""
    artifact = standard_artifacts.Examples()
    artifact.uri = str(folder)
    properties = dict(InteractionExampleGen(config).spec.exec_properties)
    unknown: Any = None
    properties = IngestDriver(unknown).resolve_exec_properties(properties, unknown, unknown)
    context = BaseBeamExecutor.Context([*config.pipeline.beam.arguments], tmp_dir=str(folder / "tmp"), unique_id="1")
    IngestExecutor(context).Do({}, {"examples": [artifact]}, properties)
    return artifact


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="+", default=list(SIZES), help="of the user")
    parser.add_argument("--splits", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--method", choices=METHODS, help="measures one method in this process and prints JSON")
    return parser


if __name__ == "__main__":
    main()
