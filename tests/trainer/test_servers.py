"""Two workers and two parameter servers, each a process, that train together; a worker is killed, then a server."""

import json
import sys
from collections import Counter
from functools import partial

import pytest

from config.local_cluster import LocalCluster
from pipeline.runners.capture import captured
from tests.trainer.distributed.test_supervision import is_running
from tests.trainer.servers import EPOCHS, ROUND, STEPS, as_chief
from tests.trainer.small import draw_rows, write_rows
from trainer.distributed.supervision import Program, train_with_restarts

CLUSTER = LocalCluster.of_options("parameter_server", {"worker": 2, "ps": 2}, {})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("servers")
    rows = draw_rows(7, 4 * STEPS)
    files = [write_rows(folder / f"{number}.gz", rows[number::4]) for number in range(4)]
    command = (sys.executable, "-m", "tests.trainer.server", str(folder))
    server = Program(command, is_server=True)
    programs = {"worker": Program(command, is_server=True, is_replaceable=True), "ps": server}
    with captured(folder / "log"):
        train_with_restarts(partial(as_chief, files, folder), CLUSTER, programs)
    return folder


def lines(folder, text):
    return [line for line in (folder / "log").read_text().splitlines() if text in line]


def result(folder):
    return json.loads((folder / "result.json").read_text())


def test_no_server_holds_more_than_its_part_of_a_table_and_its_slots(folder):
    placed = json.loads((folder / "placed.json").read_text())
    divided = {name: parts for name, parts in placed.items() if len(parts) == 2}
    assert {"item_embedding/embeddings", "m/item_embedding/embeddings", "v/item_embedding/embeddings"} <= set(divided)
    for parts in divided.values():
        assert max(parts.values()) <= 0.6 * sum(parts.values())


def test_a_lost_worker_does_not_end_the_training(folder):
    assert len(lines(folder, "worker 1 was killed by SIGKILL: another takes its place, and the training goes on")) == 1


def test_a_lost_server_restarts_all_from_the_last_checkpoint(folder):
    again = "server 1 was killed by SIGKILL: all processes start again from the last checkpoint (restart 1)"
    assert len(lines(folder, again)) == 1
    assert (folder / "starts").read_text() == f"{2 * STEPS + ROUND}\n"


def test_every_epoch_is_trained_to_its_end(folder):
    found = result(folder)
    assert (found["epochs"], found["steps"]) == (EPOCHS, EPOCHS * STEPS)
    assert found["iterations"] >= EPOCHS * STEPS  # a step whose worker was lost is taken once more
    assert found["evaluation"]["retrieval_loss"] < found["before"]["retrieval_loss"] - 0.2
    assert set(found["train"]) == {"retrieval"}


def test_processes_are_named_in_the_log_and_end_with_the_training(folder):
    starts = {"worker 0": 2, "worker 1": 3, "ps 0": 2, "ps 1": 2}
    pids = {name: (folder / name).read_text().split() for name in starts}
    assert {name: len(own) for name, own in pids.items()} == starts
    assert not any(is_running(int(pid)) for own in pids.values() for pid in own)
    said = [line.partition("[")[2] for line in lines(folder, "] serves")]
    expected = {"server 0": 2, "server 1": 2, "worker 0": 2, "worker 1": 3}
    assert Counter(said) == {f"{name}] serves": count for name, count in expected.items()}
