"""Two processes that train together over the loopback: they go on with a training that one process had begun."""

import json
import os
import socket
import subprocess
import sys
from contextlib import closing, suppress

import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.replicas import WINDOWS
from tests.trainer.small import draw_rows, write_rows
from tests.trainer.workers import KilledError, train


def free_addresses():
    with closing(socket.create_server(("127.0.0.1", 0))) as one, closing(socket.create_server(("127.0.0.1", 0))) as two:
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in (one, two)]


def start(folder, addresses, index):
    cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.trainer.workers", str(index), str(folder / "data.gz"), str(folder)],
        env={**os.environ, "TF_CONFIG": json.dumps(cluster)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def eager():
    """Tracing would take longer than these few steps; the workers train in a graph."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workers")
    write_rows(folder / "data.gz", draw_rows(7, WINDOWS))
    return folder


@pytest.fixture(scope="module")
def alone(folder, eager):
    """What one process makes of the same batches."""
    return train(tf.distribute.get_strategy(), str(folder / "data.gz"), folder / "alone")


@pytest.fixture(scope="module")
def ended(folder, eager):
    """Both workers' outputs and errors, and the chief's exit code."""
    with suppress(KilledError):
        train(tf.distribute.get_strategy(), str(folder / "data.gz"), folder, killed_in=2)
    chief, other = (start(folder, addresses, index) for addresses in [free_addresses()] for index in range(2))
    of_other, of_chief = other.communicate(timeout=300), chief.communicate(timeout=60)
    assert other.returncode == 7, of_other
    return of_chief, of_other, chief.returncode


@pytest.mark.parametrize("index", [0, 1])
def test_two_workers_learn_what_one_process_does(index, folder, alone, ended):
    found = dict(np.load(folder / f"{index}.npz"))
    assert set(found) == set(alone)
    for name in alone:
        np.testing.assert_allclose(found[name], alone[name], rtol=1e-4, atol=1e-6, err_msg=name)
    assert (found["epochs"], found["best_epoch"], found["evaluation/loss"]) == (5, 3, 1.0)


def test_both_hold_the_same_numbers(folder, ended):
    one, two = (dict(np.load(folder / f"{index}.npz")) for index in range(2))
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


def test_only_the_chief_prints_and_writes(folder, ended):
    (printed, _), (nothing, _), _ = ended
    epochs = [line.split(": ")[1] for line in printed.splitlines() if line.startswith("progress: ")]
    assert epochs == [f"epoch {number} of 6" for number in (2, 3, 4, 5)]
    assert nothing == ""
    assert len(list((folder / "logs" / "train").iterdir())) == 2  # of the process that was killed, and of the chief


def test_a_lost_worker_ends_the_chief_which_says_why(ended):
    (_, complaint), _, code = ended
    assert code == 1
    last = complaint.strip().splitlines()[-1]
    assert last.startswith("RuntimeError: another worker has ended or cannot be reached")
    assert "TensorFlow says: " in last
