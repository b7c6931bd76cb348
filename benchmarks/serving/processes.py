"""The processes of the benchmark: the servers, the load, what prepares the models."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Final, NamedTuple

from benchmarks.serving.load import MODEL_NAME, Load, Sample
from pipeline.infra.candidate import CandidateError, wait_until_available
from serving.client import RecommenderClient
from serving.server.process import end_process, free_port, server_process, wait_for_address

_START_SECONDS: Final = 120
_STOCK_THREADS: Final = 512


class Server(NamedTuple):
    """A server that answers."""

    address: str
    pid: int


@contextmanager
def embedded(folder: Path, log: IO[str], flags: Sequence[str] = ()) -> Iterator[Server]:
    """A server of the model in `folder` until the block ends. Raises `RuntimeError` when it does not start."""
    with server_process([*_model(folder), *flags], log, TF_CPP_MIN_LOG_LEVEL="3") as process:
        try:
            yield Server(wait_for_address(process, _START_SECONDS), process.pid)
        except EOFError as error:
            raise RuntimeError(f"the server of {folder} ended before it listened; see its log") from error


@contextmanager
def stock(binary: str, folder: Path, log: IO[str], flags: Sequence[str] = ()) -> Iterator[Server]:
    """As `embedded`, by a binary that takes TensorFlow Serving's flags.

    Of itself it refuses calls beyond four for each core; here it has a thread for every caller.
    """
    port = free_port()
    command = [binary, f"--port={port}", *_model(folder), f"--grpc_max_threads={_STOCK_THREADS}", *flags]
    process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        with RecommenderClient(f"localhost:{port}", MODEL_NAME, timeout=1.0, attempts=1) as client:
            wait_until_available(process, client, log, _START_SECONDS)
        yield Server(f"localhost:{port}", process.pid)
    except CandidateError as error:
        raise RuntimeError(f"{command} ended, or did not answer: {error}") from error
    finally:
        end_process(process)


def _model(folder: Path) -> list[str]:
    return [f"--model_name={MODEL_NAME}", f"--model_base_path={folder / MODEL_NAME}"]


def sample(load: Load) -> Sample:
    """Sends the load from another process."""
    return Sample(**json.loads(_run("load", json.dumps(asdict(load)))))


def bare(folder: Path, seconds: float) -> list[float]:
    """The milliseconds of the graph call alone."""
    return list(json.loads(_run("models", str(folder), f"--bare={seconds}")))


def prepare(folder: Path, *arguments: str) -> None:
    """Writes a model and its requests into `folder`."""
    _run("models", str(folder), *arguments)


def _run(module: str, *arguments: str) -> str:
    """What a module of this package printed. Raises `RuntimeError` with its last words."""
    command = [sys.executable, "-m", f"benchmarks.serving.{module}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr.strip()[-2000:]}")
    return done.stdout
