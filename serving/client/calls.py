"""The calls of a client: what goes over the wire, how the answer is read, which failures are tried again."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from serving.client import answers, wire
from serving.client.answers import Explanation, Metadata, Recommendation, VersionStatus
from serving.client.request import Request, encode_example

Answer = TypeVar("Answer")
Option = tuple[str, str | int]

PREDICT: Final = "/tensorflow.serving.PredictionService/Predict"
_METADATA: Final = "/tensorflow.serving.PredictionService/GetModelMetadata"
_STATUS: Final = "/tensorflow.serving.ModelService/GetModelStatus"
ANSWERS: Final = {
    PREDICT: wire.PredictResponse,
    _METADATA: wire.GetModelMetadataResponse,
    _STATUS: wire.GetModelStatusResponse,
}
"""The methods with the messages that they answer."""

SIGNATURE: Final = "serving_default"
EXPLAIN: Final = "explain"
FEATURES: Final = "request_features"
"""The signature whose outputs are what the model reads of requests."""
OPTIONS: Final[tuple[Option, ...]] = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),  # gRPC's own pause may grow to two minutes: longer than a restart takes
)
MAX_ATTEMPTS: Final = 5
"""The most that gRPC's retry policy allows."""
_RETRIED: Final = ("UNAVAILABLE", "CANCELLED")
"""What a server that goes away answers. A gRPC server that shuts down resets the calls that it has received but not yet
looked at; a client sees CANCELLED then, and no such call was answered."""

_HINTS: Final = {
    "UNAVAILABLE": "Is a server running at this address, and has its model loaded?",
    "DEADLINE_EXCEEDED": "Give the client a longer `timeout`, or look at the server's load.",
    "NOT_FOUND": "Is `model_name` the name the server was started with, and has the model loaded?",
    "FAILED_PRECONDITION": "The model has no such signature: `metadata()` lists those it has.",
    "INVALID_ARGUMENT": "The request does not fit the model: compare its features with those the model was trained on.",
    "RESOURCE_EXHAUSTED": "The server is at one of its bounds, or the message is too large for it.",
}


class RecommenderError(Exception):
    """A call failed. The message names address, code, what the server said and what to do."""

    def __init__(self, address: str, model_name: str, code: str, details: str) -> None:
        hint = _HINTS.get(code, "See the server's log.")
        super().__init__(f"{address} (model {model_name}): {code}: {details}. {hint}")
        self.address = address
        self.code = code
        self.details = details


@dataclass(frozen=True, slots=True)
class Call(Generic[Answer]):
    """A method, the request's message, and what reads the answer's (it may raise `AnswerError`)."""

    method: str
    message: Any
    read: Callable[[Any], Answer]


def recommend(model_name: str, examples: Sequence[bytes]) -> Call[list[list[Recommendation]]]:
    """One list of items for each serialized tf.Example."""
    return Call(PREDICT, predict_request(model_name, examples), answers.recommendations)


def explain(model_name: str, request: Request, items: Sequence[str]) -> Call[list[Explanation]]:
    """Why each of the items has its score for a request."""
    return Call(PREDICT, predict_request(model_name, [encode_example(request, items)], EXPLAIN), answers.explanations)


def metadata(model_name: str) -> Call[Metadata]:
    """The version that answers, and its signatures."""
    message = wire.GetModelMetadataRequest(metadata_field=[answers.SIGNATURE_DEF])
    message.model_spec.name = model_name
    return Call(_METADATA, message, answers.metadata)


def status(model_name: str) -> Call[list[VersionStatus]]:
    """All versions of the model."""
    message = wire.GetModelStatusRequest()
    message.model_spec.name = model_name
    return Call(_STATUS, message, answers.version_states)


def predict_request(model_name: str, examples: Sequence[bytes], signature: str = SIGNATURE) -> Any:
    """A PredictRequest for one batch of serialized tf.Examples."""
    message = wire.PredictRequest()
    message.model_spec.name = model_name
    message.model_spec.signature_name = signature
    tensor = message.inputs["examples"]
    tensor.dtype = wire.DT_STRING
    tensor.tensor_shape.dim.add(size=len(examples))
    tensor.string_val.extend(examples)
    return message


def channel_options(attempts: int) -> list[Option]:
    """A channel's options, with gRPC's own retries inside each call's deadline.

    Args:
      attempts: Tries of a call in all, from 1 to `MAX_ATTEMPTS`; the pauses double from 0.1 s, with jitter.

    Raises:
      ValueError: There is no such number of attempts.
    """
    if not 1 <= attempts <= MAX_ATTEMPTS:
        raise ValueError(f"`attempts` should be from 1 to {MAX_ATTEMPTS}. Received: {attempts}")
    if attempts == 1:
        return [*OPTIONS, ("grpc.enable_retries", 0)]
    policy = {
        "maxAttempts": attempts,
        "initialBackoff": "0.1s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": _RETRIED,
    }
    config = {"methodConfig": [{"name": [{}], "retryPolicy": policy}]}
    return [*OPTIONS, ("grpc.enable_retries", 1), ("grpc.service_config", json.dumps(config))]
