"""The connection to a TPU. Written to TensorFlow's documentation; it was not run on a TPU."""

import socket
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit

import tensorflow as tf

_CONNECT_SECONDS: Final = 10
_UNREACHABLE: Final = (OSError, ValueError, RuntimeError, tf.errors.OpError)
"""What TensorFlow raises for a name that it cannot look up, an address without an answer, and where it finds no TPU."""


@cache
def connected_tpu(address: str) -> Any:
    """Connects to a TPU, which is initialised once in a process, and returns its resolver.

    Raises:
        RuntimeError: There is none at the address.
    """
    try:
        _check_answer(address)
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=address)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except _UNREACHABLE as error:
        reason = str(error).splitlines()[0]
        raise RuntimeError(f"`training.strategy: tpu` found no TPU at {address!r} ({reason})") from error
    return resolver


def _check_answer(address: str) -> None:
    """Raises OSError where nobody listens at a `grpc://host:port`: TensorFlow would wait for it."""
    url = urlsplit(address)
    if url.scheme == "grpc" and url.hostname and url.port:
        socket.create_connection((url.hostname, url.port), _CONNECT_SECONDS).close()
