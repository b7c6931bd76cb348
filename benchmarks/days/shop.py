"""The shop's pipeline from outside: its configuration, its commands in processes of their own, its model server."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from benchmarks.days.world import DAY, START, Event
from config import paths
from config.load import load_config
from serving.client import RecommenderClient, Request

ROOT: Final = Path(__file__).resolve().parents[2]
SHOWN: Final = 5
"""Items of an answer."""
_HISTORY: Final = 20
_WAIT_SECONDS: Final = 120.0
_CONFIGURATION: Final[dict[str, Any]] = {
    "version": 1,
    "name": "shop",
    "data": {
        "interactions": {"path": "span-{SPAN}/version-{VERSION}/log.csv", "window": 7},
        "items": {"path": "items.csv", "id": "item_id"},
    },
    "split": {"method": "leave_last_out"},
    "features": {
        "item": [{"name": "genre", "kind": "categorical"}, {"name": "year", "kind": "numeric"}],
        "context": [{"name": "device", "kind": "categorical"}],
    },
    "tasks": {
        "retrieval": {"kind": "retrieval"},
        "like": {"kind": "binary", "label": "rating >= 4", "weight": 0.1},
    },
    "model": {"dimension": 16, "history": {"max_events": _HISTORY, "encoder": "decay"}},
    "training": {"epochs": 8, "batch_size": 32, "warm_start": {"epochs": 2}},
    "evaluation": {"ks": [SHOWN, 10], "gates": [{"metric": "ndcg@10", "max_regression": 0.05}]},
    "pipeline": {"drift": {"features": {"context_device": 0.05}}},
    "online": {"window_hours": 1, "gates": {"min_requests": 100, "min_ctr_ratio": 0.8}},
}


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    code: int
    output: str


class Shop:
    """A folder with the tables, the configuration and all that the pipeline writes.

    Args:
      folder: The folder; it exists.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "requests"
        self.config = self.configure()
        self.serving = Path(paths.serving(load_config(self.config)))

    def configure(self, file: str = "shop.yaml", **changes: Any) -> Path:
        """Writes the configuration, sections replaced by `changes`, and returns its path."""
        values = json.loads(json.dumps(_CONFIGURATION))
        values["data"]["folder"] = str(self.folder)
        values["pipeline"]["root"] = str(self.folder / "runs")
        values["serving"] = {"log_requests": {"folder": str(self.logs), "sampling_rate": 1, "max_file_minutes": 0.05}}
        path = self.folder / file
        path.write_text(yaml.safe_dump({**values, **changes}, sort_keys=False), encoding="utf-8")
        return path

    def command(self, name: str, *arguments: object, config: Path | None = None) -> Done:
        """Runs a command of `tfx_runner.py` to its end."""
        command = [sys.executable, str(ROOT / "tfx_runner.py"), name, "--config", str(config or self.config)]
        done = subprocess.run(
            [*command, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=False,
        )
        return Done(done.returncode, done.stdout)

    def versions(self) -> list[int]:
        """Returns the versions that servers see, the oldest first."""
        return sorted(int(path.name) for path in self.serving.glob("[0-9]*"))

    def metric(self, name: str, split: str = "test") -> float:
        """Returns a metric of the newest run."""
        metrics = json.loads((self.folder / "runs" / "shop" / "metrics.json").read_text())
        return float(metrics["splits"][split]["metrics"][name]["value"])

    @contextmanager
    def server(self) -> Iterator[str]:
        """Serves the pushed models, with the log of requests; yields the address and ends with the block."""
        command = [sys.executable, str(ROOT / "tfx_runner.py"), "serve", "--config", str(self.config), "--port", "0"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"}
        with (self.folder / "server.log").open("a") as log:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
            try:
                yield _address(process)
            finally:
                process.terminate()
                process.wait(_WAIT_SECONDS)

    def measured(self) -> list[dict[str, Any]]:
        """Returns what `online` measured last, by version, the newest first."""
        found = json.loads((self.folder / "runs" / "shop" / "online" / "online.json").read_text())
        measured: list[dict[str, Any]] = found["measured"]
        return measured


def _address(process: "subprocess.Popen[str]") -> str:
    lines = []
    for line in process.stdout or ():
        lines.append(line)
        if found := re.search(r"(127\.0\.0\.1:\d+)", line):
            return found[1]
    raise RuntimeError(f"the server did not start: {''.join(lines)}")


def recommend(client: RecommenderClient, user: str, history: list[Event], time: int) -> list[str]:
    """Returns what the served model shows a user at a time."""
    newest = history[-_HISTORY:]
    request = Request(
        user_id=user,
        history=[event[1] for event in newest],
        times=[*(event[2] for event in newest), time],
        features={"context_device": [*(event[4] for event in newest), "phone"]},
        k=SHOWN,
    )
    return [item.item_id for item in client.recommend(request)]


def noon(day: int) -> int:
    """Returns the middle of a day, in seconds since 1970."""
    return START + (day - 1) * DAY + DAY // 2
