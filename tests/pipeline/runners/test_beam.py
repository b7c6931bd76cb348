"""The steps on Beam write the same on every runner: in this process, in two others, and on a job service's workers."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from config import Config, load_config
from config.fingerprint import ROOT
from tests.pipeline.runners.beam_steps import run_steps
from tests.synthetic import write_config, write_tables


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Config:
    folder = tmp_path_factory.mktemp("tables")
    write_tables(folder, users=40, items=30, events=400)
    features = {"user": [], "item": [], "context": [{"name": "device", "kind": "categorical"}], "outcome": []}
    evaluation = {"slices": []}
    return load_config(write_config(folder, features=features, evaluation=evaluation))


@pytest.fixture(scope="module")
def expected(config, tmp_path_factory):
    return run_steps(config, "local", tmp_path_factory.mktemp("local"))


def test_two_processes_write_what_one_does(config, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the workers find this project nevertheless
    found = run_steps(config, {"runner": "multi_processing", "workers": 2}, tmp_path)
    for step, written in expected.items():
        assert found[step] == written, step


def test_a_job_service_and_its_workers_write_what_one_process_does(config, expected, tmp_path):
    jobs = service("apache_beam.runners.portability.local_job_service_main", tmp_path / "jobs", "--port_file")
    workers = service("tests.pipeline.runners.worker_pool", tmp_path / "workers")
    with jobs as endpoint, workers as pool:
        beam = {"runner": "portable", "endpoint": endpoint, "worker_pool": pool, "workers": 2}
        found = run_steps(config, beam, tmp_path)
    for step, written in expected.items():
        assert found[step] == written, step


@contextmanager
def service(module: str, folder: Path, *arguments: str) -> Iterator[str]:
    """A module in a process and a folder of its own, which writes its port to a file; yields its address."""
    folder.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments, "port"],
            cwd=folder,
            env={**environment, "PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=log,
        )
    try:
        end, port = time.monotonic() + 120, folder / "port"
        while not port.exists():
            assert time.monotonic() < end, (folder / "log").read_text()
            time.sleep(0.1)
        yield f"localhost:{port.read_text()}"
    finally:
        process.terminate()
        process.wait()
