"""The gRPC services: PredictionService, ModelService and grpc.health.v1."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from serving.server.admission import Admission
from serving.server.errors import ServingError
from serving.server.metrics import Metrics
from serving.server.predict import model_metadata, model_status, predict
from serving.server.repository import Repository

LOG = logging.getLogger("serving")

PREDICTION_SERVICE: Final = "tensorflow.serving.PredictionService"
MODEL_SERVICE: Final = "tensorflow.serving.ModelService"
_DETAILS: Final = 1024
"""Bytes of an error's text at most: gRPC carries it in a header, where a byte that is no ASCII takes three."""

Method = tuple[Any, Callable[[Any, Any], Any]]
"""The class of the request, and what answers it."""


def services(
    repository: Repository, admission: Admission, metrics: Metrics, max_rows: int
) -> tuple[grpc.GenericRpcHandler, grpc.GenericRpcHandler]:
    """Returns the handlers of PredictionService and ModelService.

    Predict takes a slot of `admission`; questions for metadata and state, which run no graph, do not.
    """

    def on_predict(request: predict_pb2.PredictRequest, context: grpc.ServicerContext) -> Any:
        name = request.model_spec.name
        measured = metrics.measured(name if repository.is_served(name) else "", "Predict", "GRPC")
        with measured, admission.slot(context.is_active):
            return predict(repository.servable(request.model_spec), request, max_rows)

    def on_metadata(request: get_model_metadata_pb2.GetModelMetadataRequest, context: Any) -> Any:
        return model_metadata(repository, request)

    def on_status(request: get_model_status_pb2.GetModelStatusRequest, context: Any) -> Any:
        return model_status(repository, request)

    predictions = {
        "Predict": (predict_pb2.PredictRequest, on_predict),
        "GetModelMetadata": (get_model_metadata_pb2.GetModelMetadataRequest, on_metadata),
    }
    models = {"GetModelStatus": (get_model_status_pb2.GetModelStatusRequest, on_status)}
    return _service(PREDICTION_SERVICE, predictions), _service(MODEL_SERVICE, models)


def set_health(servicer: health.HealthServicer, is_serving: bool) -> None:
    """Says on every name that probes ask for whether all models answer."""
    status = health_pb2.HealthCheckResponse.SERVING if is_serving else health_pb2.HealthCheckResponse.NOT_SERVING
    for name in ("", PREDICTION_SERVICE, MODEL_SERVICE):
        servicer.set(name, status)


def _service(name: str, methods: Mapping[str, Method]) -> grpc.GenericRpcHandler:
    handlers = {
        method: grpc.unary_unary_rpc_method_handler(
            _answering(*parts), response_serializer=lambda response: response.SerializeToString()
        )
        for method, parts in methods.items()
    }
    return grpc.method_handlers_generic_handler(name, handlers)


def _answering(message: Any, function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """A handler of raw bytes: one that is no request is the caller's fault, which gRPC's own parsing would not say."""

    def answer(data: bytes, context: grpc.ServicerContext) -> Any:
        try:
            return function(message.FromString(data), context)
        except ServingError as error:
            context.abort(error.code, _cut(error.message))
        except DecodeError:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"the bytes are no {message.DESCRIPTOR.full_name}")
        except Exception as error:
            LOG.exception("A request failed in an unforeseen way")
            context.abort(grpc.StatusCode.INTERNAL, _cut(f"{type(error).__name__}: {error}"))

    return answer


def _cut(message: str) -> str:
    return message.encode("utf-8", "replace")[:_DETAILS].decode("utf-8", "ignore")
