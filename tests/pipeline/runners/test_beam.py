"""The steps on Beam write the same on every runner: in this process, in two others, and on a job service's workers."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from config import Config, load_config
from tests.pipeline.runners.beam_steps import run_steps
from tests.synthetic import write_config, write_tables


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Config:
    folder = tmp_path_factory.mktemp("tables")
    write_tables(folder, users=40, items=30, events=400)
    return load_config(write_config(folder))


@pytest.fixture(scope="module")
def expected(config, tmp_path_factory):
    return run_steps(config, "local", tmp_path_factory.mktemp("local"))


def test_two_processes_write_what_one_does(config, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the workers find this project nevertheless
    found = run_steps(config, {"runner": "multi_processing", "workers": 2}, tmp_path)
    for step, written in expected.items():
        assert found[step] == written, step


def test_a_job_service_and_its_workers_write_what_one_process_does(config, expected, tmp_path):
    with job_service(tmp_path) as endpoint, worker_pool(tmp_path) as pool:
        beam = {"runner": "portable", "endpoint": endpoint, "worker_pool": pool, "workers": 2}
        found = run_steps(config, beam, tmp_path)
    for step, written in expected.items():
        assert found[step] == written, step


@contextmanager
def job_service(folder: Path) -> Iterator[str]:
    """Beam's own job service in a process and a folder of its own; its address."""
    (folder / "service").mkdir()
    file = folder / "service" / "port"
    module = "apache_beam.runners.portability.local_job_service_main"
    with _process([module, "--port_file", str(file)], file.parent):
        _until(file.exists)
        yield f"localhost:{file.read_text()}"


@contextmanager
def worker_pool(folder: Path) -> Iterator[str]:
    """Beam's worker pool in a process and a folder of its own, with this project installed; its address."""
    (folder / "pool").mkdir()
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    command = ["apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"]
    with _process(command, folder / "pool"):
        _until(lambda: _answers(port))
        yield f"localhost:{port}"


@contextmanager
def _process(module: list[str], folder: Path) -> Iterator[None]:
    bin_folder = Path(sys.executable).parent  # the pool starts `python`
    environment = {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": _ROOT}
    environment.pop("TF_USE_LEGACY_KERAS", None)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-m", *module], cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait()


_ROOT = str(Path(__file__).resolve().parents[3])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("localhost", port)) == 0


def _until(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)
