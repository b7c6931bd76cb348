"""The versions of one model: found, loaded in the background, swapped in atomically, retired.

The rules are TensorFlow Serving's "availability preserving" ones: a version is retired only once a wanted one answers,
so a newer version that fails to load leaves the last good one answering. One difference is on purpose: when all version
directories vanish, the versions loaded stay. Versions that are there, but that a new version policy leaves out, go.
"""

import gc
import logging
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

import grpc
import tensorflow as tf
from tensorflow_serving.config import model_server_config_pb2

from serving.errors import ServingError, not_found
from serving.servable import Servable
from serving.versions import aspired_versions, find_versions

LOG = logging.getLogger("serving")


class State(IntEnum):
    """A version's state, numbered as in `GetModelStatus`."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class Retries:
    """How often, and after how many seconds, a load that failed is tried again."""

    count: int = 5
    interval: float = 60.0


@dataclass
class Version:
    """What is known of one version directory."""

    number: int
    path: str
    state: State = State.START
    error: ServingError | None = None
    attempts: int = 0
    next_attempt: float = 0.0
    wanted: bool = field(default=True)

    def ended(self) -> None:
        """The version has left memory."""
        self.state = State.END


Loader = Callable[[str, int, str], Servable]
"""(model name, version, path) -> the loaded version. Raises `ServingError`."""


class Model:
    """The versions of one model. `poll` is called by one thread; everything else by any.

    A model may go while a version of it is being loaded: what is wanted and what is published change under a lock.
    """

    def __init__(self, config: model_server_config_pb2.ModelConfig, loader: Loader, retries: Retries) -> None:
        self.config = config
        self._loader = loader
        self._retries = retries
        self._versions: dict[int, Version] = {}
        self._available: dict[int, Servable] = {}  # replaced, never changed: readers take no lock
        self._newest: Servable | None = None
        self._gone = False
        self._change = threading.Lock()

    def servable(self, version: int | None) -> Servable:
        """The loaded version, the newest for None. Raises `ServingError` (NOT_FOUND)."""
        found = self._newest if version is None else self._available.get(version)
        if found is None:
            name = self.config.name
            asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise not_found(f"Servable not found for request: {asked}")
        return found

    def answers(self, version: int | None = None) -> bool:
        """Whether this version, any for None, is loaded."""
        return self._newest is not None if version is None else version in self._available

    def versions(self) -> list[Version]:
        """All versions ever seen, the newest first."""
        return sorted(self._versions.copy().values(), key=lambda v: -v.number)

    def poll(self) -> None:
        """Looks at the base path once and brings the loaded versions in line with it."""
        try:
            found = find_versions(self.config.base_path)
        except tf.errors.OpError as error:
            LOG.error(
                "Could not find base path %s for servable %s: %s",
                self.config.base_path,
                self.config.name,
                error.message,
            )
            return
        if not found:
            LOG.warning("No versions of servable %s found under base path %s", self.config.name, self.config.base_path)
        aspired = aspired_versions(self.config, found)
        with self._change:
            if self._gone:
                return
            self._admit(aspired)
        for version in self.versions():
            if version.wanted and version.state in (State.START, State.LOADING):
                self._try_to_load(version)
        with self._change:
            self._retire(found, aspired)

    def serve(self, config: model_server_config_pb2.ModelConfig) -> None:
        """Follows `config` from the next poll on, also after `unload_all`."""
        with self._change:
            self.config = config
            self._gone = False

    def unload_all(self) -> None:
        """Forgets every version, one that is still being loaded too; requests under way finish."""
        with self._change:
            self._gone = True
            for version in self.versions():
                version.wanted = False
                if version.state in (State.START, State.LOADING):
                    version.state = State.END
            self._publish({})

    def _admit(self, aspired: dict[int, str]) -> None:
        fresh = {number: path for number, path in aspired.items() if self._is_new(number, path)}
        for version in self._versions.values():
            version.wanted = version.number in aspired
            if not version.wanted and version.state in (State.START, State.LOADING):
                version.state = State.END
        for number, path in fresh.items():
            self._versions[number] = Version(number, path)

    def _is_new(self, number: int, path: str) -> bool:
        """Whether to load the version, or to load it again. One that failed is, once it was not wanted in between."""
        known = self._versions.get(number)
        if known is None or known.path != path:
            return True
        return known.state == State.END and (known.error is None or not known.wanted)

    def _try_to_load(self, version: Version) -> None:
        if time.monotonic() < version.next_attempt:
            return
        version.state = State.LOADING
        version.attempts += 1
        try:
            servable = self._loader(self.config.name, version.number, version.path)
        except ServingError as error:
            self._failed(version, error)
        except Exception as error:
            # Whatever a broken model raises, it must not stop the thread that would load the next one.
            LOG.exception("Loading %s failed in an unforeseen way", version.path)
            self._failed(version, ServingError(grpc.StatusCode.UNKNOWN, f"{type(error).__name__}: {error}"))
        else:
            self._succeeded(version, servable)

    def _succeeded(self, version: Version, servable: Servable) -> None:
        with self._change:
            if not version.wanted:
                version.state = State.END
                return
            weakref.finalize(servable, version.ended)
            self._publish({**self._available, version.number: servable})
            version.state = State.AVAILABLE
        LOG.info("Successfully loaded servable version {name: %s version: %d}", self.config.name, version.number)

    def _failed(self, version: Version, error: ServingError) -> None:
        LOG.error(
            "Loading servable {name: %s version: %d} failed (attempt %d): %s",
            self.config.name,
            version.number,
            version.attempts,
            error.message,
        )
        if version.attempts > self._retries.count or not version.wanted:
            version.state, version.error = State.END, error
        else:
            version.next_attempt = time.monotonic() + self._retries.interval

    def _retire(self, found: dict[int, str], aspired: dict[int, str]) -> None:
        loaded = self._available
        wanted = {number for number in loaded if self._versions[number].wanted}
        if aspired and not wanted:
            wanted = set(sorted(loaded)[-1:])  # what is wanted is still to come: until then the newest answers
        may_go = loaded if wanted else found
        kept = {number: servable for number, servable in loaded.items() if number in wanted or number not in may_go}
        if len(kept) < len(loaded):
            self._publish(kept)

    def _publish(self, available: dict[int, Servable]) -> None:
        retired = [number for number in self._available if number not in available]
        for number in retired:
            self._versions[number].state = State.UNLOADING
            LOG.info("Unloading servable version {name: %s version: %d}", self.config.name, number)
        self._newest = available[max(available)] if available else None
        self._available = available
        if retired:
            gc.collect()  # a graph is full of cycles
