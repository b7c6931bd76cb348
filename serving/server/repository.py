"""The models of a server and their versions: found, loaded while requests are answered, swapped in, retired.

The rules are TensorFlow Serving's: a version is retired only once a wanted one answers, so a newer version that fails
to load leaves the last good one answering. When all version folders vanish, the loaded ones stay: a failed push must
not end the answers.
"""

import gc
import logging
import re
import time
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import grpc
import tensorflow as tf
from tensorflow_serving.apis import model_pb2

from serving.server.calls import ServingError, invalid_argument, not_found
from serving.server.servable import Servable

LOG = logging.getLogger("serving")

ModelConfig = Any
"""`tensorflow.serving.ModelConfig`, of a package without types."""
Loader = Callable[[str, int, str], Servable]
"""(model name, version, path) -> the loaded version. Raises `ServingError`."""

_NUMBER: Final = re.compile("[0-9]{1,18}")


class State(IntEnum):
    """A version's state, numbered as in GetModelStatus."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass
class Version:
    """The state of one version folder; `error` is set once no further attempt to load it will be made."""

    number: int
    path: str
    state: State = State.START
    error: ServingError | None = None
    attempts: int = 0
    next_attempt: float = 0.0


class Model:
    """The versions of one model. One thread calls `poll`, any thread the other methods.

    Args:
      config: Its name, base path, version policy and labels.
      loader: Loads a version.
      retries: How often a load that failed is tried again.
      retry_seconds: The pause before each of these attempts.
    """

    def __init__(self, config: ModelConfig, loader: Loader, retries: int, retry_seconds: float) -> None:
        self.config = config
        self._loader = loader
        self._retries = retries
        self._retry_seconds = retry_seconds
        self._versions: dict[int, Version] = {}
        self._available: dict[int, Servable] = {}  # replaced, never changed: readers take no lock

    def servable(self, number: int | None) -> Servable:
        """Returns a loaded version, the newest for None.

        Raises:
          ServingError: UNAVAILABLE while no version has loaded yet; NOT_FOUND for a version that is not loaded.
        """
        available = self._available
        if not available:
            raise ServingError(grpc.StatusCode.UNAVAILABLE, f"model {self.config.name!r} has no version loaded yet")
        found = available.get(max(available) if number is None else number)
        if found is None:
            raise not_found(f"version {number} of model {self.config.name!r} is not loaded")
        return found

    def loaded(self) -> list[int]:
        """Returns the numbers of the loaded versions, in rising order."""
        return sorted(self._available)

    def versions(self) -> list[Version]:
        """Returns all versions ever seen, the newest first."""
        return sorted(self._versions.copy().values(), key=lambda version: -version.number)

    def failure(self) -> ServingError | None:
        """Returns why the newest version cannot be loaded, where none is loaded or still to be tried."""
        versions = self.versions()
        if self._available or not versions or any(version.error is None for version in versions):
            return None
        return versions[0].error

    def poll(self) -> None:
        """Looks at the base path once and brings the loaded versions in line with it."""
        try:
            # The children whose names are numbers, of a folder or an object store.
            names = sorted(child.rstrip("/") for child in tf.io.gfile.listdir(self.config.base_path))
        except (tf.errors.OpError, OSError) as error:
            LOG.error("Model %s: no base path %s (%s)", self.config.name, self.config.base_path, error)
            return
        found = {int(n): tf.io.gfile.join(self.config.base_path, n) for n in names if _NUMBER.fullmatch(n)}
        if not found:
            LOG.warning("Model %s: no versions in %s", self.config.name, self.config.base_path)
        wanted = _wanted_versions(self.config.model_version_policy, found)
        for number, path in wanted.items():
            known = self._versions.get(number)
            if known is None or known.path != path or (known.state == State.END and known.error is None):
                self._versions[number] = Version(number, path)
        for number, version in list(self._versions.items()):
            is_loaded = number in self._available
            if number not in wanted and not is_loaded and version.state != State.UNLOADING:
                version.state, version.error = State.END, None
            elif number in wanted and not is_loaded and version.error is None:
                self._try_to_load(version)
        self._retire(found, set(wanted))

    def _try_to_load(self, version: Version) -> None:
        if time.monotonic() < version.next_attempt:
            return
        version.state = State.LOADING
        version.attempts += 1
        try:
            servable = self._loader(self.config.name, version.number, version.path)
        except ServingError as error:
            LOG.error(
                "Model %s: version %d failed to load (attempt %d): %s: %s",
                *(self.config.name, version.number, version.attempts, error.code.name, error.message),
            )
            version.next_attempt = time.monotonic() + self._retry_seconds
            if version.attempts > self._retries:
                version.state, version.error = State.END, error
            return
        weakref.finalize(servable, setattr, version, "state", State.END)  # once it has left memory
        self._available = {**self._available, version.number: servable}
        version.state = State.AVAILABLE
        LOG.info("Model %s: version %d answers", self.config.name, version.number)

    def _retire(self, found: dict[int, str], wanted: set[int]) -> None:
        """Drops versions that are not wanted once one that is wanted answers."""
        keep = {number for number in self._available if number in wanted or (number not in found and not wanted)}
        keep = keep or set(self.loaded()[-1:])
        retired = self._available.keys() - keep
        for number in retired:
            self._versions[number].state = State.UNLOADING  # END once the last request that uses it is answered
            LOG.info("Model %s: version %d is retired", self.config.name, number)
        if retired:
            self._available = {number: servable for number, servable in self._available.items() if number in keep}
            gc.collect()  # a graph is full of cycles


class Repository:
    """Models by name. Requests read it from any thread; one thread calls `configure` and `poll`.

    Args:
      loader: Loads a version.
      retries: How often a load that failed is tried again.
      retry_seconds: The pause before each of these attempts.
    """

    def __init__(self, loader: Loader, retries: int, retry_seconds: float) -> None:
        self._arguments = (loader, retries, retry_seconds)
        self._models: dict[str, Model] = {}

    def configure(self, configs: Iterable[ModelConfig]) -> None:
        """Serves exactly these models from the next poll on; the others are dropped."""
        models: dict[str, Model] = {}
        for config in configs:
            model = self._models.get(config.name)
            if model is None or model.config.base_path != config.base_path:
                model = Model(config, *self._arguments)
            model.config = config
            models[config.name] = model
        self._models = models

    def model(self, name: str) -> Model:
        """Returns the model. Raises `ServingError` (INVALID_ARGUMENT, NOT_FOUND)."""
        if not name:
            raise invalid_argument("`model_spec.name` is missing")
        model = self._models.get(name)
        if model is None:
            raise not_found(f"no model {name!r} is served")
        return model

    def version_number(self, spec: model_pb2.ModelSpec) -> int | None:
        """Returns the version that a request names by number or label, None where it names none.

        Raises:
          ServingError: INVALID_ARGUMENT for an unknown label, NOT_FOUND for an unknown model.
        """
        choice = spec.WhichOneof("version_choice")
        if choice != "version_label":
            return int(spec.version.value) if choice == "version" else None
        labels = self.model(spec.name).config.version_labels
        if spec.version_label not in labels:
            raise invalid_argument(f"model {spec.name!r} has no version labelled {spec.version_label!r}")
        return int(labels[spec.version_label])

    def servable(self, spec: model_pb2.ModelSpec) -> Servable:
        """Returns the loaded version that a request's `model_spec` names. Raises `ServingError`."""
        return self.model(spec.name).servable(self.version_number(spec))

    def is_served(self, name: str) -> bool:
        """Returns whether there is such a model."""
        return name in self._models

    def loaded(self) -> dict[str, list[int]]:
        """Returns the numbers of the loaded versions, by model."""
        return {name: model.loaded() for name, model in self._models.items()}

    def failures(self) -> dict[str, ServingError]:
        """Returns why models cannot be loaded, by name."""
        found = {name: model.failure() for name, model in self._models.items()}
        return {name: error for name, error in found.items() if error is not None}

    def poll(self) -> None:
        """Brings every model in line with its base path, once."""
        for model in list(self._models.values()):
            model.poll()


def _wanted_versions(policy: Any, found: dict[int, str]) -> dict[int, str]:
    """Returns those of the versions found that a ServableVersionPolicy wants: without a policy, the newest."""
    kind = policy.WhichOneof("policy_choice")
    if kind == "all":
        return found
    if kind == "specific":
        return {number: found[number] for number in policy.specific.versions if number in found}
    newest = sorted(found, reverse=True)[: max(policy.latest.num_versions, 1)]
    return {number: found[number] for number in newest}
