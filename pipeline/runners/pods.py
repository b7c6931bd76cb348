"""The pods of a job in which worker 0 runs the pipeline: the others train with it, or are told that nothing trains.

They wait for a connection to the chief's address. There TensorFlow listens during a training; where the Trainer came
from the cache, the chief answers itself that the run has ended.
"""

import socket
import time
from contextlib import suppress
from typing import Final

from config.cluster import Cluster

_ENDED: Final = b"the run has ended"
_ANSWER_SECONDS: Final = 2.0
"""How long to wait for the answer. TensorFlow sends other bytes at once, or none."""
_LEAVE_SECONDS: Final = 600.0
"""How long the chief waits for workers that have not asked yet."""


def wait_for_training(cluster: Cluster, pause: float = 1.0) -> bool:
    """Waits until the chief trains or its run has ended without a training; returns whether it trains.

    That may be after hours of ingest: longer than TensorFlow waits.
    """
    host, _, port = cluster.addresses[0].rpartition(":")
    while True:
        with suppress(OSError), socket.create_connection((host.strip("[]"), int(port)), timeout=10) as connection:
            return _answer(connection) != _ENDED
        time.sleep(pause)


def tell_end(cluster: Cluster, seconds: float = _LEAVE_SECONDS) -> None:
    """Tells every other worker that the run has ended, or gives up after so many seconds."""
    end = time.monotonic() + seconds
    port = int(cluster.addresses[0].rpartition(":")[2])
    with socket.create_server(("", port)) as server, suppress(TimeoutError):
        for _ in cluster.addresses[1:]:
            server.settimeout(max(0.01, end - time.monotonic()))
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.sendall(_ENDED)


def _answer(connection: socket.socket) -> bytes:
    connection.settimeout(_ANSWER_SECONDS)
    try:
        return connection.recv(len(_ENDED), socket.MSG_WAITALL)
    except TimeoutError:
        return b""
