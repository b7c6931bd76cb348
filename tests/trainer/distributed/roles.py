"""A chief and a worker that count to six, in files instead of TensorFlow's operations, and are lost as a test asks."""

import json
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

from config.local_cluster import LocalCluster
from trainer.distributed.restarts import LostWorkerError
from trainer.distributed.supervision import Program, train_with_restarts
from trainer.distributed.training_process import Progress

STEPS = 6
PROGRAM = (sys.executable, "-m", "tests.trainer.distributed.roles")
TWO = LocalCluster({"worker": 2})


def supervise(folder: Path, fault: str) -> None:
    """Trains with a worker; see `fail` for the faults."""
    program = Program((*PROGRAM, "worker", str(folder), fault))
    train_with_restarts(partial(chief, folder, fault), TWO, {"worker": program})


def patient_chief(progress: Progress) -> None:
    """Waits longer than any test."""
    time.sleep(600)


def chief(folder: Path, fault: str, progress: Progress) -> None:
    """Goes on with the step in the file `step`."""
    note(folder, "chief")
    step = done(folder)
    progress.report(step)
    while step < STEPS or fault == "none at all":
        fail("chief", folder, fault)
        time.sleep(0.05)
        step += 1
        (folder / "step.new").write_text(str(step))
        (folder / "step.new").rename(folder / "step")
        progress.report(step)


def worker(folder: Path, fault: str) -> None:
    """Follows the steps."""
    note(folder, "worker")
    print("hello\nand welcome", flush=True)
    while done(folder) < STEPS or fault == "none at all":
        fail("worker", folder, fault)
        time.sleep(0.01)


def note(folder: Path, role: str) -> None:
    """Writes down that a process has started: its id, its TF_CONFIG and the step."""
    with (folder / role).open("a") as file:
        print(json.dumps([os.getpid(), json.loads(os.environ["TF_CONFIG"]), done(folder)]), file=file)


def done(folder: Path) -> int:
    """The number of finished steps."""
    file = folder / "step"
    return int(file.read_text()) if file.exists() else 0


def fail(role: str, folder: Path, fault: str) -> None:
    """At the third step: `<role> killed` is killed once, `<role> wrong` raises an error each time.

    Without its worker the chief does not go on, and finds out by and by.
    """
    is_first = len((folder / role).read_text().splitlines()) == 1
    if done(folder) != 3:
        return
    if fault == f"{role} wrong":
        raise FloatingPointError("three is wrong")
    if fault == f"{role} killed" and is_first:
        while not all((folder / name).exists() for name in ("chief", "worker")):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
    if role == "chief" and (fault == "worker wrong" or (fault == "worker killed" and is_first)):
        time.sleep(1)
        raise LostWorkerError("another worker has ended")


if __name__ == "__main__":
    {"worker": worker, "supervise": supervise}[sys.argv[1]](Path(sys.argv[2]), sys.argv[3])
