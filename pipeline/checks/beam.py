"""Whether Beam can run as `pipeline.beam` says: the job service answers, and workers elsewhere find the data."""

import shutil
import socket
from collections.abc import Iterator
from typing import Final

from config import Config
from config.errors import Problem

_SECONDS: Final = 3
_CLOUD: Final = "gs://"


def check_beam(config: Config) -> Iterator[Problem]:
    """Returns what a run's Beam steps would fail by."""
    beam = config.pipeline.beam
    if beam.endpoint is not None and (problem := _why_silent(beam.endpoint)):
        yield ("pipeline", "beam", "endpoint"), f"should be a Beam job service. Nothing answers there: {problem}"
    if beam.master is not None and shutil.which("java") is None:
        yield (
            ("pipeline", "beam", "master"),
            "needs Java on this machine, where Beam starts the job server: install it, or start the server elsewhere "
            "and name its `endpoint`",
        )
    if beam.runner == "dataflow":
        for key, folder in ((("data", "folder"), config.data.folder), (("pipeline", "root"), config.pipeline.root)):
            if not folder.startswith(_CLOUD):
                yield key, f"should be a {_CLOUD} URI, which Dataflow's workers find. Received: {folder!r}"


def _why_silent(address: str) -> str:
    """Returns why no connection can be made; empty where it can."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_SECONDS).close()
    except (OSError, OverflowError) as error:
        return str(error)
    return ""
