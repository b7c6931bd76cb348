import socket
import threading
import time

import pytest

from config.cluster import Cluster
from config.local_cluster import LocalCluster
from pipeline.runners.pods import tell_end, wait_for_training
from trainer.distributed.processes import loopback_addresses


@pytest.fixture
def addresses():
    return tuple(loopback_addresses(LocalCluster({"worker": 3}))["worker"])


@pytest.mark.parametrize("said", [b"", b"\0\0\x12\4 other bytes than ours"])
def test_a_worker_waits_for_the_chiefs_training(addresses, said):
    begin = threading.Event()

    def train():
        begin.wait(10)
        port = int(addresses[0].rpartition(":")[2])
        with socket.create_server(("127.0.0.1", port)) as server:
            connection, _ = server.accept()
            with connection:
                connection.sendall(said)

    thread = threading.Thread(target=train)
    thread.start()
    threading.Timer(0.2, begin.set).start()
    start = time.monotonic()
    assert wait_for_training(Cluster(addresses, 1), 0.05)
    assert time.monotonic() - start > 0.15
    thread.join()


def test_every_worker_is_told_that_nothing_trains(addresses):
    told = []

    def wait(index):
        told.append(wait_for_training(Cluster(addresses, index), 0.05))

    threads = [threading.Thread(target=wait, args=(index,)) for index in (1, 2)]
    for thread in threads:
        thread.start()
    tell_end(Cluster(addresses, 0), 20)
    for thread in threads:
        thread.join()
    assert told == [False, False]


def test_workers_that_do_not_ask_are_not_waited_for_for_ever(addresses):
    begin = time.monotonic()
    tell_end(Cluster(addresses, 0), 0.1)
    assert time.monotonic() - begin < 5
