"""All models of a server, and the thread that keeps them up to date."""

import logging
import threading
from collections.abc import Iterable

from tensorflow_serving.apis import model_pb2
from tensorflow_serving.config import model_server_config_pb2

from serving import callers
from serving.errors import ServingError, invalid_argument, not_found
from serving.model import Loader, Model, Retries, State
from serving.model_configs import by_name, check_labels, check_platforms
from serving.servable import Servable

LOG = logging.getLogger("serving")


class Repository:
    """Models by name. Requests read it from any thread; `configure` and `poll` take a lock."""

    def __init__(self, loader: Loader, retries: Retries, early_labels: bool = False) -> None:
        self._loader = loader
        self._retries = retries
        self._early_labels = early_labels
        self._models: dict[str, Model] = {}
        self._former: dict[str, Model] = {}
        self._lock = threading.Lock()
        self._polling = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def configure(self, configs: Iterable[model_server_config_pb2.ModelConfig]) -> set[str]:
        """Serves exactly these models from the next poll on. Returns the names of those that are new.

        Raises `ServingError` (INVALID_ARGUMENT) for what `serving.model_configs` finds, and (FAILED_PRECONDITION) when
        a label is given to a version that does not answer; then nothing changes.
        """
        with self._lock:
            known = {name: model.config for name, model in self._models.items()}
            wanted = by_name(configs, known)
            for config in wanted.values():
                self._check_labels(config)
            check_platforms(wanted.values())
            before = self._models
            self._models = {name: self._model(name, config) for name, config in wanted.items()}
            for name, model in before.items():
                if name not in wanted:
                    self._former[name] = model
                    model.unload_all()
            return set(wanted) - set(before)

    def is_configured(self, configs: Iterable[model_server_config_pb2.ModelConfig]) -> bool:
        """Whether `configure` has been told the same, in whatever order."""
        current = [model.config for _, model in sorted(self._models.items())]
        return sorted(configs, key=lambda config: config.name) == current

    def servable(self, spec: model_pb2.ModelSpec) -> Servable:
        """The loaded version that a request's `model_spec` names. Raises `ServingError`."""
        if not spec.name:
            raise invalid_argument("ModelSpec has no name specified.")
        model = self._models.get(spec.name)
        choice = spec.WhichOneof("version_choice")
        version = spec.version.value if choice == "version" else None
        if choice == "version_label":
            version = _labelled(model, spec.version_label)
        if model is None:
            asked = f"Latest({spec.name})" if version is None else f"Specific({spec.name}, {version})"
            raise not_found(f"Servable not found for request: {asked}")
        return model.servable(version)

    def model(self, name: str) -> Model | None:
        """The model by its name."""
        return self._models.get(name)

    def models(self) -> list[Model]:
        """All models."""
        return list(self._models.values())

    def known_model(self, name: str) -> Model | None:
        """The model by its name, also one that is served no more."""
        return self._models.get(name) or self._former.get(name)

    def poll(self) -> None:
        """Brings every model in line with its base path, once. One thread at a time does so."""
        with self._polling:
            for model in self.models():
                model.poll()

    def start(self, interval: float) -> None:
        """Polls every `interval` seconds in a thread of its own; never when `interval` is not positive."""
        if interval > 0:
            self._thread = threading.Thread(target=self._run, args=(interval,), name="versions", daemon=True)
            self._thread.start()

    def interrupt(self) -> None:
        """Ends the polling and the waiting soon."""
        self._stop.set()

    @property
    def interrupted(self) -> bool:
        """Whether the polling has ended, or will."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Ends the polling and waits for its thread."""
        self.interrupt()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def wait_until_available(self, names: set[str]) -> list[str]:
        """Polls until each of these models has a version that answers, or has failed, or is served no more.

        Returns what went wrong, as TensorFlow Serving words it, for each model that failed, in the order of the names.
        Ends early when `interrupt` comes or the caller goes.
        """
        waits = callers.current()
        while True:
            self.poll()
            missing = [model for name, model in sorted(self._models.items()) if name in names and not model.answers()]
            failures = [failure for failure in map(_failure, missing) if failure]
            if failures or not missing or not waits() or self._stop.wait(0.2):
                return failures

    def _run(self, interval: float) -> None:
        while not self._stop.wait(interval):
            try:
                self.poll()
            except Exception:
                # The directory may be on a store that fails now and answers at the next poll.
                LOG.exception("Polling the model directories failed")

    def _check_labels(self, config: model_server_config_pb2.ModelConfig) -> None:
        known = self._models.get(config.name)
        if known is None:
            check_labels(config, {}, lambda version: False, self._early_labels)
        else:
            check_labels(config, dict(known.config.version_labels), known.answers, self._early_labels)

    def _model(self, name: str, config: model_server_config_pb2.ModelConfig) -> Model:
        model = self._models.get(name) or self._former.pop(name, None)
        if model is None:
            return Model(config, self._loader, self._retries)
        model.serve(config)
        return model


def _labelled(model: Model | None, label: str) -> int:
    version = model.config.version_labels.get(label) if model is not None else None
    if version is None:
        raise invalid_argument(f"Unrecognized servable version label: {label}")
    return version


def _failure(model: Model) -> str:
    """What the newest wanted version failed with, when none is left to try; else nothing."""
    versions = [version for version in model.versions() if version.wanted]
    if not versions or any(version.state != State.END or version.error is None for version in versions):
        return ""
    newest = versions[0]
    error: ServingError | None = newest.error
    return f"{{name: {model.config.name} version: {newest.number}}} due to error: {error.status if error else ''}"
