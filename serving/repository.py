"""All models of a server, and the thread that keeps them up to date."""

import logging
import threading
from collections.abc import Iterable

import grpc
from tensorflow_serving.apis import model_pb2
from tensorflow_serving.config import model_server_config_pb2

from serving.errors import ServingError, failed_precondition, invalid_argument, not_found
from serving.model import Loader, Model, Retries, State
from serving.servable import Servable

LOG = logging.getLogger("serving")


class Repository:
    """Models by name. Requests read it from any thread; `configure` and `poll` take a lock."""

    def __init__(self, loader: Loader, retries: Retries, early_labels: bool = False) -> None:
        self._loader = loader
        self._retries = retries
        self._early_labels = early_labels
        self._models: dict[str, Model] = {}
        self._lock = threading.Lock()
        self._polling = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def configure(self, configs: Iterable[model_server_config_pb2.ModelConfig]) -> None:
        """Serves exactly these models from the next poll on.

        Raises `ServingError` (INVALID_ARGUMENT) when a name comes twice or a base path is missing, and
        (FAILED_PRECONDITION) when a label is given to a version that does not answer; then nothing changes.
        """
        wanted: dict[str, model_server_config_pb2.ModelConfig] = {}
        for config in configs:
            self._check(config, wanted)
            wanted[config.name] = config
        with self._lock:
            gone = [model for name, model in self._models.items() if name not in wanted]
            models = {name: self._models.get(name) for name in wanted}
            self._models = {n: m or Model(wanted[n], self._loader, self._retries) for n, m in models.items()}
            for name, model in self._models.items():
                model.config = wanted[name]
            for model in gone:
                model.unload_all()

    def servable(self, spec: model_pb2.ModelSpec) -> Servable:
        """The loaded version that a request's `model_spec` names. Raises `ServingError`."""
        if not spec.name:
            raise invalid_argument("ModelSpec has no name specified.")
        model = self._models.get(spec.name)
        choice = spec.WhichOneof("version_choice")
        version = spec.version.value if choice == "version" else None
        if model is None:
            asked = f"Latest({spec.name})" if version is None else f"Specific({spec.name}, {version})"
            raise not_found(f"Servable not found for request: {asked}")
        if choice == "version_label":
            version = _labelled(model, spec.version_label)
        return model.servable(version)

    def model(self, name: str) -> Model | None:
        """The model by its name."""
        return self._models.get(name)

    def models(self) -> list[Model]:
        """All models."""
        return list(self._models.values())

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

    def wait_until_available(self) -> None:
        """Polls until every model has a version that answers, or `interrupt` comes.

        Raises `ServingError` (UNKNOWN) when a model has none left to try.
        """
        while not self._stop.is_set():
            self.poll()
            missing = [m for m in self.models() if not _answers(m)]
            if not missing:
                return
            _raise_if_hopeless(missing)
            self._stop.wait(0.2)

    def _run(self, interval: float) -> None:
        while not self._stop.wait(interval):
            try:
                self.poll()
            except Exception:
                # The directory may be on a store that fails now and answers at the next poll.
                LOG.exception("Polling the model directories failed")

    def _check(
        self,
        config: model_server_config_pb2.ModelConfig,
        others: dict[str, model_server_config_pb2.ModelConfig],
    ) -> None:
        if config.name in others:
            raise invalid_argument(f"Illegal to list model {config.name} multiple times in config list")
        if not config.base_path:
            raise invalid_argument(f"Expected model {config.name} to have an absolute path or URI; got base_path()=")
        known = self._models.get(config.name)
        given = dict(known.config.version_labels) if known is not None else {}
        for label, version in config.version_labels.items():
            if given.get(label) == version or (self._early_labels and label not in given):
                continue
            if not _answers(known, version):
                raise failed_precondition(
                    f"Request to assign label to version {version} of model {config.name}, "
                    "which is not currently available for inference"
                )


def _labelled(model: Model, label: str) -> int:
    version = model.config.version_labels.get(label)
    if version is None:
        raise invalid_argument(f"Unrecognized servable version label: {label}")
    return version


def _answers(model: Model | None, version: int | None = None) -> bool:
    if model is None:
        return False
    states = [v.state for v in model.versions() if version is None or v.number == version]
    return State.AVAILABLE in states


def _raise_if_hopeless(models: list[Model]) -> None:
    errors = []
    for model in models:
        versions = [v for v in model.versions() if v.wanted]
        if versions and all(v.state == State.END and v.error is not None for v in versions):
            name = model.config.name
            errors += [f"{{name: {name} version: {v.number}}} due to error: {v.error}" for v in versions]
    if errors:
        message = f"{len(errors)} model(s) did not become available: {{{'; '.join(errors)}}}"
        raise ServingError(grpc.StatusCode.UNKNOWN, message)
