"""The gRPC services: methods, their messages, and errors as status codes."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

from serving import callers
from serving.api import Api
from serving.errors import ServingError

LOG = logging.getLogger("serving")

PREDICTION_SERVICE: Final = "tensorflow.serving.PredictionService"
MODEL_SERVICE: Final = "tensorflow.serving.ModelService"


def prediction_service(api: Api, slots: AbstractContextManager[Any]) -> grpc.GenericRpcHandler:
    """PredictionService. A request is answered inside `slots`, which it enters once it is there as a whole."""
    return _service(
        PREDICTION_SERVICE,
        slots,
        {
            "Predict": (predict_pb2.PredictRequest, _measured(api, "Predict", api.predict)),
            "Classify": (classification_pb2.ClassificationRequest, _measured(api, "Classify", api.classify)),
            "Regress": (regression_pb2.RegressionRequest, _measured(api, "Regress", api.regress)),
            "MultiInference": (inference_pb2.MultiInferenceRequest, api.multi_inference),
            "GetModelMetadata": (get_model_metadata_pb2.GetModelMetadataRequest, api.get_model_metadata),
        },
    )


def model_service(api: Api) -> grpc.GenericRpcHandler:
    """ModelService. A config that loads for minutes, or a question for the state, takes no slot of a prediction."""
    return _service(
        MODEL_SERVICE,
        nullcontext(),
        {
            "GetModelStatus": (get_model_status_pb2.GetModelStatusRequest, api.get_model_status),
            "HandleReloadConfigRequest": (model_management_pb2.ReloadConfigRequest, api.reload_config),
        },
    )


class UnknownMethods(grpc.GenericRpcHandler):
    """The last one to be asked: UNIMPLEMENTED without a text, as a server in C++ says it."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """Answers whatever the method is."""
        return grpc.stream_stream_rpc_method_handler(_unimplemented)


def _unimplemented(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
    context.abort(grpc.StatusCode.UNIMPLEMENTED, "")
    return requests


def _service(
    name: str, slots: AbstractContextManager[Any], methods: Mapping[str, tuple[Any, Callable[[Any], Any]]]
) -> grpc.GenericRpcHandler:
    handlers = {
        method: grpc.unary_unary_rpc_method_handler(
            partial(_answer, function, slots, message.FromString),
            response_serializer=lambda response: response.SerializeToString(),
        )
        for method, (message, function) in methods.items()
    }
    return grpc.method_handlers_generic_handler(name, handlers)


def _measured(api: Api, method: str, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda request: api.measured(request.model_spec.name, method, "GRPC", lambda: function(request))


def _answer(
    function: Callable[[Any], Any],
    slots: AbstractContextManager[Any],
    parse: Callable[[bytes], Any],
    data: bytes,
    context: grpc.ServicerContext,
) -> Any:
    """Runs `function`, unless nobody waits for the answer any more: the call is cancelled, or its deadline passed."""
    try:
        request = parse(data)
        with slots:
            if not context.is_active():
                raise callers.gone()
            with callers.waiting(context.is_active):
                return function(request)
    except ServingError as error:
        LOG.debug("%s: %s", error.code.name, error.message)
        context.abort(error.code, error.details)
    except DecodeError:
        context.abort(grpc.StatusCode.INTERNAL, "")
    except Exception as error:
        LOG.exception("A request failed in an unforeseen way")
        context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")
