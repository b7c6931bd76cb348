"""Two processes that train together and go on with a training that one process had begun; one of them is killed."""

import sys
from contextlib import suppress
from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from config.local_cluster import LocalCluster
from config.progress import LASTING, ProgressLine
from pipeline.runners.capture import captured
from tests.trainer.replicas import WINDOWS
from tests.trainer.small import draw_rows, write_rows
from tests.trainer.workers import KilledError, as_chief, train
from trainer.distributed.supervision import Program, train_with_restarts


@pytest.fixture(scope="module")
def eager():
    """Tracing would take longer than these few steps; the workers train in a graph."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workers")
    rows = draw_rows(7, WINDOWS)
    for number in range(3):  # as many windows in each
        write_rows(folder / f"{number}.gz", rows[number::3])
    return folder


@pytest.fixture(scope="module")
def alone(folder, eager):
    """What one process makes of the same batches."""
    return train(tf.distribute.get_strategy(), str(folder / "*.gz"), folder / "alone")


@pytest.fixture(scope="module")
def log(folder, eager):
    """The lines that all processes print."""
    files = str(folder / "*.gz")
    with suppress(KilledError):
        train(tf.distribute.get_strategy(), files, folder, killed_in=2)
    command = (sys.executable, "-m", "tests.trainer.workers", files, str(folder))
    with captured(folder / "log"):
        train_with_restarts(partial(as_chief, files, folder), LocalCluster({"worker": 2}), {"worker": Program(command)})
    return (folder / "log").read_text().splitlines()


@pytest.mark.parametrize("index", [0, 1])
def test_two_workers_learn_what_one_process_does(index, folder, alone, log):
    found = dict(np.load(folder / f"{index}.npz"))
    assert set(found) == set(alone)
    for name in alone:
        np.testing.assert_allclose(found[name], alone[name], rtol=1e-4, atol=1e-6, err_msg=name)
    assert (found["epochs"], found["best_epoch"], found["evaluation/loss"]) == (5, 3, 1.0)


def test_both_hold_the_same_numbers(folder, log):
    one, two = (dict(np.load(folder / f"{index}.npz")) for index in range(2))
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


def test_only_the_chief_prints_and_writes(folder, log):
    found = [line for line in map(ProgressLine.parse, log) if line and line.is_lasting]
    progress = [line.text.split(": ")[0] for line in found]
    lost = "worker 1 was killed by SIGKILL"
    assert progress == ["epoch 2 of 6", lost, *(f"epoch {number} of 6" for number in (3, 4, 5))]
    assert not any(LASTING in line for line in log if "[worker 1]" in line)
    assert len(list((folder / "logs" / "train").iterdir())) == 3  # of every process that trained as chief


def test_a_chief_whose_worker_is_lost_is_told_why(folder, log):
    lost = (folder / "lost").read_text()
    assert lost.startswith("another worker has ended or cannot be reached")
    assert "TensorFlow says: " in lost
