"""The gRPC client of a served recommender: this project's server or TensorFlow Serving itself.

    with RecommenderClient("localhost:8500") as client:
        for item in client.recommend(Request(user_id="42", history=["50", "181"], k=10)):
            print(item.item_id, item.score)

It needs grpcio and protobuf, neither TensorFlow nor TFX.
"""

import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final, TypeVar

import grpc

from serving import messages, wire
from serving.checks import RequestChecks, RequestWarning
from serving.messages import Explanation, Influence, Metadata, Recommendation, Request, VersionStatus
from serving.retries import Retries

__all__ = [
    "Explanation",
    "Influence",
    "Metadata",
    "Recommendation",
    "RecommenderClient",
    "RecommenderError",
    "Request",
    "RequestWarning",
    "VersionStatus",
]

Pairs = Sequence[tuple[str, str]]
"""gRPC metadata: lower-case names and their values."""

Answer = TypeVar("Answer")

PREDICT: Final = "/tensorflow.serving.PredictionService/Predict"
_METHODS: Final = (
    (PREDICT, wire.PredictRequest, wire.PredictResponse),
    (
        "/tensorflow.serving.PredictionService/GetModelMetadata",
        wire.GetModelMetadataRequest,
        wire.GetModelMetadataResponse,
    ),
    ("/tensorflow.serving.ModelService/GetModelStatus", wire.GetModelStatusRequest, wire.GetModelStatusResponse),
)

_HINTS: Final = {
    "UNAVAILABLE": "Is a server running at this address?",
    "DEADLINE_EXCEEDED": "Give the client a longer `timeout`, or look at the server's load.",
    "NOT_FOUND": "Is `model_name` the name the server was started with, and has the model loaded?",
    "FAILED_PRECONDITION": "The model has no such signature: `metadata()` lists those it has.",
    "INVALID_ARGUMENT": "The request does not fit the model: compare its features with those the model was trained on.",
}
OPTIONS: Final = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),  # gRPC's own pause may grow to two minutes: longer than a restart takes
)


class RecommenderError(Exception):
    """A call failed. The message names address, code, what the server said and what to do."""

    def __init__(self, address: str, model_name: str, code: str, details: str) -> None:
        hint = _HINTS.get(code, "See the server's log.")
        super().__init__(f"{address} (model {model_name}): {code}: {details}. {hint}")
        self.address = address
        self.code = code
        self.details = details


class RecommenderClient:
    """One channel to one model; safe to share between threads. Close it, or use it in a `with`."""

    def __init__(
        self,
        address: str,
        model_name: str = "recommender",
        timeout: float = 5.0,
        attempts: int = 4,
        credentials: grpc.ChannelCredentials | None = None,
        metadata: Pairs = (),
    ) -> None:
        """`timeout` is the deadline of a call in seconds, retries included.

        What a server that goes away answers (UNAVAILABLE, CANCELLED) is tried again, `attempts` times in all, with a
        random, doubling pause between. `credentials` make the channel secure; `metadata` goes with every call (a
        token). Every method takes a `timeout` and further `metadata` (a trace id) of its own.
        """
        self.address = address
        self.model_name = model_name
        self._timeout = timeout
        self._attempts = attempts
        self._metadata = tuple(metadata)
        self._checks = RequestChecks()
        self._closed = threading.Event()
        self._channel = open_channel(address, credentials)
        self._predict, self._get_metadata, self._get_status = open_methods(self._channel)

    def recommend(
        self, request: Request, *, timeout: float | None = None, metadata: Pairs = ()
    ) -> list[Recommendation]:
        """The best items for one request, best first. Raises `RecommenderError`.

        Gives a `RequestWarning` of times that are no moments of the history (a request years away from it, before it,
        or in the future) and of features that the model does not know: of each kind once.
        """
        return self.recommend_many([request], timeout=timeout, metadata=metadata)[0]

    def recommend_many(
        self, requests: Sequence[Request], *, timeout: float | None = None, metadata: Pairs = ()
    ) -> list[list[Recommendation]]:
        """One list of items for each request, in one call. Raises `RecommenderError`."""
        self._checks.tell_times(requests)
        examples = [messages.encode_example(request) for request in requests]
        answers = self.recommend_examples(examples, timeout=timeout, metadata=metadata)
        self._tell_features(requests, timeout, metadata)
        return answers

    def recommend_examples(
        self, examples: Sequence[bytes], *, timeout: float | None = None, metadata: Pairs = ()
    ) -> list[list[Recommendation]]:
        """As `recommend_many`, from serialized tf.Examples laid out as in `docs/data-layout.md`."""
        if not examples:
            return []
        request = messages.predict_request(self.model_name, examples)
        response = self._call(self._predict, request, timeout, metadata)
        return decode(self.address, self.model_name, response, messages.recommendations)

    def explain(
        self, request: Request, items: Sequence[str], *, timeout: float | None = None, metadata: Pairs = ()
    ) -> list[Explanation]:
        """Why each of the items has its score for the request, in the order of `items`. Raises `RecommenderError`."""
        self._checks.tell_times([request])
        examples = [messages.encode_example(request, items)]
        call = messages.predict_request(self.model_name, examples, messages.EXPLAIN)
        response = self._call(self._predict, call, timeout, metadata)
        self._tell_features([request], timeout, metadata)
        return decode(self.address, self.model_name, response, messages.explanations)

    def status(self, *, timeout: float | None = None, metadata: Pairs = ()) -> list[VersionStatus]:
        """The model's versions, the newest first. Raises `RecommenderError`."""
        request = messages.status_request(self.model_name)
        return messages.version_states(self._call(self._get_status, request, timeout, metadata))

    def metadata(self, *, timeout: float | None = None, metadata: Pairs = ()) -> Metadata:
        """The version that answers, and its signatures. Raises `RecommenderError`."""
        request = messages.metadata_request(self.model_name)
        return messages.metadata(self._call(self._get_metadata, request, timeout, metadata))

    def close(self) -> None:
        """Closes the channel; calls under way are cancelled."""
        self._closed.set()
        self._channel.close()

    def __enter__(self) -> "RecommenderClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _tell_features(self, requests: Sequence[Request], timeout: float | None, metadata: Pairs) -> None:
        if self._checks.has_unknown(requests):
            try:
                known = self.metadata(timeout=timeout, metadata=metadata)
            except RecommenderError:
                known = None
            self._checks.tell_features(requests, known)

    def _call(self, method: Any, request: Any, timeout: float | None, metadata: Pairs) -> Any:
        retries = Retries(self._timeout if timeout is None else timeout, self._attempts)
        pairs = (*self._metadata, *metadata)
        while True:
            try:
                return method(request, timeout=retries.seconds_left, metadata=pairs)
            except grpc.RpcError as error:
                pause = retries.pause_after(error.code())
                if pause is None or self._closed.wait(pause):
                    raise as_recommender_error(self.address, self.model_name, error) from error


def open_channel(address: str, credentials: grpc.ChannelCredentials | None) -> grpc.Channel:
    """A secure channel with credentials, a plain one without."""
    if credentials is None:
        return grpc.insecure_channel(address, options=OPTIONS)
    return grpc.secure_channel(address, credentials, options=OPTIONS)


def decode(address: str, model_name: str, response: Any, read: Callable[[Any], Answer]) -> Answer:
    """A PredictResponse as `read` makes it. Raises `RecommenderError` when it is not a recommender's."""
    try:
        return read(response)
    except messages.AnswerError as error:
        raise RecommenderError(address, model_name, "INTERNAL", str(error)) from error


def as_recommender_error(address: str, model_name: str, error: Any) -> RecommenderError:
    """gRPC's error with address, code and remedy."""
    return RecommenderError(address, model_name, error.code().name, error.details())


def open_methods(channel: Any) -> tuple[Any, Any, Any]:
    """Predict, GetModelMetadata and GetModelStatus on a channel, a synchronous one or asyncio's."""
    first, second, third = (
        channel.unary_unary(
            path, request_serializer=request.SerializeToString, response_deserializer=response.FromString
        )
        for path, request, response in _METHODS
    )
    return first, second, third
