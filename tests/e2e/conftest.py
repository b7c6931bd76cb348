"""One pipeline on the small data set, run three times: cold, fully cached, and with a new span on two replicas, killed
amid its training and started again. All tests here share it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving.client import personal
from tests.synthetic import default_config, write_tables

ROOT = Path(__file__).resolve().parents[2]
NAME = "end-to-end"
RAW_USER = "raw-person-"
"""What the ids of users begin with in the tables, where they are personal."""
KEY = "key of the end-to-end tests"


@dataclass(frozen=True)
class Finished:
    """A finished command."""

    code: int
    output: str


@dataclass(frozen=True)
class Home:
    """The folder of the pipeline's tables, configuration and outputs."""

    folder: Path
    training: dict[str, Any] = field(default_factory=dict)
    """Changes of the training in every configuration from now on."""

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def runs(self) -> Path:
        return self.folder / "runs" / NAME

    @property
    def serving(self) -> Path:
        return self.runs / "serving" / "recommender"

    def versions(self) -> list[int]:
        """The pushed versions, oldest first."""
        return sorted(int(path.name) for path in self.serving.glob("[0-9]*"))

    def configure(self, file: str = "config.yaml", **sections: Any) -> Path:
        """Writes the configuration with some sections changed."""
        values = default_config(self.folder)
        values["name"] = NAME
        values["data"]["interactions"]["path"] = "span-{SPAN}/interactions.csv"
        for table in ("interactions", "users"):
            values["data"][table]["personal"] = ["user_id"]
        values["pipeline"] = {"root": str(self.folder / "runs")}
        values["training"] = {"epochs": 12, "batch_size": 8, "warm_start": {"epochs": None}, **self.training}
        values["tasks"]["genre"] = {"kind": "multiclass", "attribute": "genres", "weight": 0.1}
        values["tasks"]["order"] = {"kind": "pairwise", "label": "rating", "weight": 0.1}
        values["model"]["tables"] = {"user_id": {"method": "hash", "rows": 40}, "default": "unified", "item_id": "full"}
        values["model"]["unified"] = {"rows": 64, "width": 8, "tables": 2}
        for name, section in sections.items():
            values[name] = {**values.get(name, {}), **section}
        path = self.folder / file
        path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
        return path

    def add_span(self, span: int, **tables: int) -> None:
        """Writes the interactions of a span; the items and users tables are of the newest."""
        write_tables(self.folder, **tables)
        (self.folder / f"span-{span}").mkdir()
        for name in ("interactions.csv", "users.csv"):
            path = self.folder / name
            path.write_text(re.sub(r"^u(?=\d+,)", RAW_USER, path.read_text(), flags=re.MULTILINE))
        shutil.move(self.folder / "interactions.csv", self.folder / f"span-{span}" / "interactions.csv")

    def command(self, *arguments: str) -> Finished:
        """Runs `tfx_runner.py` as a person would."""
        done = subprocess.run(
            [sys.executable, str(ROOT / "tfx_runner.py"), *arguments],
            capture_output=True,
            text=True,
            timeout=900,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        return Finished(done.returncode, done.stdout + done.stderr)

    def kill_after_a_checkpoint(self) -> None:
        """Starts the pipeline, and kills it and its children once the training has written a checkpoint."""
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "tfx_runner.py"), "run", "--config", str(self.config)],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            limit = time.monotonic() + 600
            while not list((self.runs / "checkpoints").glob("*/last/*.index")):
                assert process.poll() is None, "the run ended before its first checkpoint"
                assert time.monotonic() < limit, "no checkpoint appeared"
                time.sleep(0.1)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def run(self, config: Path | None = None) -> Finished:
        """Runs the pipeline."""
        return self.command("run", "--config", str(config or self.config))


@dataclass(frozen=True)
class Passes:
    """The three passes, what stood in the serving folder after each, metrics.json after the first, and metrics.prom and
    the log of the last."""

    home: Home
    cold: Finished
    cached: Finished
    new_span: Finished
    versions: tuple[list[int], list[int], list[int]]
    metrics: str
    prometheus: str
    log: str


@pytest.fixture(scope="session")
def passes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Passes]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(personal.KEY_VARIABLE, KEY)
        yield _passes(tmp_path_factory)


def _passes(tmp_path_factory: pytest.TempPathFactory) -> Passes:
    home = Home(tmp_path_factory.mktemp("end_to_end"))
    home.add_span(1)
    home.configure(serving={"embeddings": True})
    cold, after_cold = home.run(), home.versions()
    assert cold.code == 0, cold.output
    metrics = (home.runs / "metrics.json").read_text()
    cached, after_cached = home.run(), home.versions()
    home.training.update(epochs=4, strategy="mirrored", replicas=2)
    home.configure()
    home.add_span(2, events=4200, seed=1)
    home.kill_after_a_checkpoint()
    new_span, after_new_span = home.run(), home.versions()
    prometheus = (home.runs / "metrics.prom").read_text()
    log = max((home.runs / "logs").glob("*.log")).read_text()
    return Passes(home, cold, cached, new_span, (after_cold, after_cached, after_new_span), metrics, prometheus, log)
