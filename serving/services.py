"""The gRPC services: methods, their messages, and errors as status codes."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
)

from serving.errors import ServingError
from serving.metadata import get_model_metadata, get_model_status
from serving.predict import predict
from serving.repository import Repository

LOG = logging.getLogger("serving")

PREDICTION_SERVICE = "tensorflow.serving.PredictionService"
MODEL_SERVICE = "tensorflow.serving.ModelService"


def prediction_service(repository: Repository, as_content: bool = False) -> grpc.GenericRpcHandler:
    """PredictionService; numbers are answered in `tensor_content` when `as_content`."""
    return _service(
        PREDICTION_SERVICE,
        {
            "Predict": (predict_pb2.PredictRequest, partial(predict, repository, as_content=as_content)),
            "GetModelMetadata": (
                get_model_metadata_pb2.GetModelMetadataRequest,
                partial(get_model_metadata, repository),
            ),
        },
    )


def model_service(repository: Repository) -> grpc.GenericRpcHandler:
    """ModelService."""
    methods = {"GetModelStatus": (get_model_status_pb2.GetModelStatusRequest, partial(get_model_status, repository))}
    return _service(MODEL_SERVICE, methods)


def _service(name: str, methods: Mapping[str, tuple[Any, Callable[[Any], Any]]]) -> grpc.GenericRpcHandler:
    handlers = {
        method: grpc.unary_unary_rpc_method_handler(
            partial(_answer, function),
            request_deserializer=message.FromString,
            response_serializer=lambda response: response.SerializeToString(),
        )
        for method, (message, function) in methods.items()
    }
    return grpc.method_handlers_generic_handler(name, handlers)


def _answer(function: Callable[[Any], Any], request: Any, context: grpc.ServicerContext) -> Any:
    """Runs `function`, unless nobody waits for the answer any more."""
    if not context.is_active():
        context.abort(grpc.StatusCode.CANCELLED, "The caller has gone")
    try:
        return function(request)
    except ServingError as error:
        LOG.debug("%s: %s", error.code.name, error.message)
        context.abort(error.code, error.message)
    except Exception as error:
        LOG.exception("A request failed in an unforeseen way")
        context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")
