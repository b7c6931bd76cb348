"""What the server answers, whichever way it is asked: gRPC and REST call the same methods."""

import time
from collections.abc import Callable
from typing import Any

import grpc

from serving import classify, metadata, multi_inference, predict, regress
from serving.errors import ServingError, invalid_argument
from serving.metrics import LATENCY_BOUNDS, REQUEST_COUNT, REQUEST_LATENCY, Metrics
from serving.model import State
from serving.reload import reload_config
from serving.repository import Repository


class Api:
    """The methods of PredictionService and ModelService. Each raises `ServingError`."""

    def __init__(self, repository: Repository, metrics: Metrics, as_content: bool = False) -> None:
        self.repository = repository
        self.metrics = metrics
        self._as_content = as_content

    def predict(self, request: Any) -> Any:
        """PredictRequest -> PredictResponse."""
        return predict.predict(self.repository, request, self._as_content)

    def classify(self, request: Any) -> Any:
        """ClassificationRequest -> ClassificationResponse."""
        _require_spec(request)
        return classify.classify(self.repository, request)

    def regress(self, request: Any) -> Any:
        """RegressionRequest -> RegressionResponse."""
        _require_spec(request)
        return regress.regress(self.repository, request)

    def multi_inference(self, request: Any) -> Any:
        """MultiInferenceRequest -> MultiInferenceResponse."""
        return multi_inference.multi_inference(self.repository, request)

    def get_model_metadata(self, request: Any) -> Any:
        """GetModelMetadataRequest -> GetModelMetadataResponse."""
        return metadata.get_model_metadata(self.repository, request)

    def get_model_status(self, request: Any) -> Any:
        """GetModelStatusRequest -> GetModelStatusResponse."""
        return metadata.get_model_status(self.repository, request)

    def reload_config(self, request: Any) -> Any:
        """ReloadConfigRequest -> ReloadConfigResponse."""
        return reload_config(self.repository, request, self.metrics.value)

    def metrics_page(self) -> str:
        """What was counted, for Prometheus."""
        models = self.repository.models()
        loaded = {m.config.name: [v.number for v in m.versions() if v.state == State.AVAILABLE] for m in models}
        return self.metrics.page(loaded)

    def measured(self, model: str, method: str, entrypoint: str, answer: Callable[[], Any]) -> Any:
        """`answer()`, counted by its status and, where it succeeds, timed."""
        started = time.perf_counter()
        # A name that nobody serves is not counted under itself: callers could fill the memory with names.
        model = model if self.repository.model(model) else ""
        code = grpc.StatusCode.UNKNOWN
        try:
            response = answer()
            code = grpc.StatusCode.OK
        except ServingError as error:
            code = error.code
            raise
        finally:
            self.metrics.count(REQUEST_COUNT, model_name=model, status=code.name)
        microseconds = (time.perf_counter() - started) * 1e6
        labels = {"model_name": model, "API": method, "entrypoint": entrypoint}
        self.metrics.observe(REQUEST_LATENCY, LATENCY_BOUNDS, microseconds, **labels)
        return response


def _require_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
