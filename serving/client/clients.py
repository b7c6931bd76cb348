"""The blocking client and the asyncio client, which share everything but the call into gRPC."""

import json
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from inspect import isawaitable
from typing import Any, Final, Self, TypedDict, TypeVar, Unpack

import grpc
import grpc.aio

from serving.client import answers, wire
from serving.client.answers import AnswerError, Explanation, Metadata, Recommendation, VersionStatus
from serving.client.checks import RequestChecks
from serving.client.request import Request, encode_example

Answer = TypeVar("Answer")
Items = list[Recommendation]
Pairs = Sequence[tuple[str, str]]
"""gRPC metadata: lower-case names and their values."""

PREDICT: Final = "/tensorflow.serving.PredictionService/Predict"
_METADATA: Final = "/tensorflow.serving.PredictionService/GetModelMetadata"
_STATUS: Final = "/tensorflow.serving.ModelService/GetModelStatus"
_RESPONSES: Final = {
    PREDICT: wire.PredictResponse,
    _METADATA: wire.GetModelMetadataResponse,
    _STATUS: wire.GetModelStatusResponse,
}
OPTIONS: Final = {
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 2000,  # gRPC's own pause grows to two minutes, longer than a restart takes
}
"""The options of the clients' channels."""
_MAX_ATTEMPTS: Final = 5
"""The most that gRPC's retry policy allows."""
_RETRIED: Final = ("UNAVAILABLE", "CANCELLED")
"""The codes of a server that shuts down: a gRPC server then resets the calls that it has received but not yet started,
which a client sees as CANCELLED."""
_HINTS: Final = {
    "UNAVAILABLE": "Is a server running at this address, and has its model loaded?",
    "DEADLINE_EXCEEDED": "Give the client a longer `timeout`, or look at the server's load.",
    "NOT_FOUND": "Is `model_name` the name the server was started with, and has the model loaded?",
    "FAILED_PRECONDITION": "The model has no such signature: `metadata()` lists those it has.",
    "INVALID_ARGUMENT": "The request does not fit the model: compare its features with those the model was trained on.",
    "RESOURCE_EXHAUSTED": "The server is at one of its bounds, or the message is too large for it.",
}


class RecommenderError(Exception):
    """A call failed. The message names the address, the code, the server's message and a remedy."""

    def __init__(self, address: str, model_name: str, code: str, details: str) -> None:
        hint = _HINTS.get(code, "See the server's log.")
        super().__init__(f"{address} (model {model_name}): {code}: {details}. {hint}")
        self.address = address
        self.code = code
        self.details = details


class Options(TypedDict, total=False):
    """The keyword arguments of every method.

    Attributes:
      timeout: The deadline of this call in seconds, in place of the client's.
      metadata: gRPC metadata of this call, such as a trace id, beside the client's.
    """

    timeout: float | None
    metadata: Pairs


class _Client:
    """A channel to one model, and the methods of both clients as coroutines.

    Args:
      address: `host:port` of gRPC, or `unix:path`.
      model_name: The name of the model on the server.
      timeout: The deadline of a call in seconds, retries included.
      attempts: How often a call is sent in all, from 1 to 5, while the server answers UNAVAILABLE or CANCELLED. gRPC
        retries inside the deadline; its pauses double from 0.1 s, with jitter.
      credentials: Make the channel secure.
      metadata: gRPC metadata of every call, such as a token.
      wait_for_ready: Whether a call waits, inside its deadline, for a server that cannot be reached yet; a restart is
        then seen as one slow call.

    Raises:
      ValueError: `attempts` is out of range.
    """

    _grpc: Any
    """The module that makes channels: `grpc` or `grpc.aio`."""

    def __init__(
        self,
        address: str,
        model_name: str = "recommender",
        timeout: float = 5.0,
        attempts: int = 4,
        credentials: grpc.ChannelCredentials | None = None,
        metadata: Pairs = (),
        wait_for_ready: bool = False,
    ) -> None:
        self.address = address
        self.model_name = model_name
        self._timeout = timeout
        self._metadata = tuple(metadata)
        self._wait_for_ready = wait_for_ready
        self._checks = RequestChecks()
        options = [*OPTIONS.items(), *_retry_options(attempts)]
        if credentials is None:
            self._channel = self._grpc.insecure_channel(address, options)
        else:
            self._channel = self._grpc.secure_channel(address, credentials, options)
        self._methods = {
            name: self._channel.unary_unary(name, lambda message: message.SerializeToString(), response.FromString)
            for name, response in _RESPONSES.items()
        }

    async def _call(self, method: str, message: Any, read: Callable[[Any], Answer], options: Options) -> Answer:
        """Sends a message; returns what `read` makes of the response. It suspends for asyncio's channel alone."""
        timeout = options.get("timeout")
        try:
            response = self._methods[method](
                message,
                timeout=self._timeout if timeout is None else timeout,
                metadata=(*self._metadata, *options.get("metadata", ())),
                wait_for_ready=self._wait_for_ready,
            )
            if isawaitable(response):
                response = await response
            return read(response)
        except grpc.RpcError as error:
            code, details = error.code().name, error.details()
            raise RecommenderError(self.address, self.model_name, code, details) from error
        except AnswerError as error:
            raise RecommenderError(self.address, self.model_name, "INTERNAL", str(error)) from error

    async def _recommend(self, requests: Sequence[Request], options: Options) -> list[Items]:
        self._checks.warn_of_times(requests)
        examples = [encode_example(request) for request in requests]
        return await self._checked(requests, self._recommend_examples(examples, options), options)

    async def _recommend_examples(self, examples: Sequence[bytes], options: Options) -> list[Items]:
        message = predict_request(self.model_name, examples)
        return await self._call(PREDICT, message, answers.recommendations, options) if examples else []

    async def _explain(self, request: Request, items: Sequence[str], options: Options) -> list[Explanation]:
        self._checks.warn_of_times([request])
        message = predict_request(self.model_name, [encode_example(request, items)], "explain")
        return await self._checked([request], self._call(PREDICT, message, answers.explanations, options), options)

    async def _status(self, options: Options) -> list[VersionStatus]:
        message = wire.GetModelStatusRequest(model_spec={"name": self.model_name})
        return await self._call(_STATUS, message, answers.version_states, options)

    async def _model_metadata(self, options: Options) -> Metadata:
        fields = [answers.SIGNATURE_DEF]
        message = wire.GetModelMetadataRequest(model_spec={"name": self.model_name}, metadata_field=fields)
        return await self._call(_METADATA, message, answers.metadata, options)

    async def _checked(self, requests: Sequence[Request], call: Awaitable[Answer], options: Options) -> Answer:
        """Makes a call, then warns of features that the model does not know."""
        found = await call
        if self._checks.has_unknown(requests):
            try:
                known = await self._model_metadata(options)
            except RecommenderError:
                known = None
            self._checks.warn_of_features(requests, known)
        return found


class RecommenderClient(_Client):
    """A blocking client; share one among threads, and close it or use it in a `with`.

    See `_Client` for the arguments. Every method takes `timeout` and `metadata` (`Options`) and raises
    `RecommenderError`. The first request with implausible times or unknown features raises a `RequestWarning`, once for
    each kind.
    """

    _grpc = grpc

    def recommend(self, request: Request, **options: Unpack[Options]) -> Items:
        """Returns the best items for one request, best first."""
        return _result(self._recommend([request], options))[0]

    def recommend_many(self, requests: Sequence[Request], **options: Unpack[Options]) -> list[Items]:
        """Returns one list of items for each request, in one call."""
        return _result(self._recommend(requests, options))

    def recommend_examples(self, examples: Sequence[bytes], **options: Unpack[Options]) -> list[Items]:
        """Returns one list of items for each serialized tf.Example, laid out as in `docs/reference/data-layout.md`."""
        return _result(self._recommend_examples(examples, options))

    def explain(self, request: Request, items: Sequence[str], **options: Unpack[Options]) -> list[Explanation]:
        """Returns why each of the items has its score for the request, in the order of `items`."""
        return _result(self._explain(request, items, options))

    def status(self, **options: Unpack[Options]) -> list[VersionStatus]:
        """Returns the model's versions, the newest first."""
        return _result(self._status(options))

    def metadata(self, **options: Unpack[Options]) -> Metadata:
        """Returns the version that answers, and its signatures."""
        return _result(self._model_metadata(options))

    def close(self) -> None:
        """Closes the channel; calls under way are cancelled."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncRecommenderClient(_Client):
    """`RecommenderClient` for one asyncio event loop. Close it, or use it in an `async with`."""

    _grpc = grpc.aio

    async def recommend(self, request: Request, **options: Unpack[Options]) -> Items:
        """Returns the best items for one request, best first."""
        return (await self._recommend([request], options))[0]

    async def recommend_many(self, requests: Sequence[Request], **options: Unpack[Options]) -> list[Items]:
        """Returns one list of items for each request, in one call."""
        return await self._recommend(requests, options)

    async def recommend_examples(self, examples: Sequence[bytes], **options: Unpack[Options]) -> list[Items]:
        """Returns one list of items for each serialized tf.Example."""
        return await self._recommend_examples(examples, options)

    async def explain(self, request: Request, items: Sequence[str], **options: Unpack[Options]) -> list[Explanation]:
        """Returns why each of the items has its score for the request, in the order of `items`."""
        return await self._explain(request, items, options)

    async def status(self, **options: Unpack[Options]) -> list[VersionStatus]:
        """Returns the model's versions, the newest first."""
        return await self._status(options)

    async def metadata(self, **options: Unpack[Options]) -> Metadata:
        """Returns the version that answers, and its signatures."""
        return await self._model_metadata(options)

    async def close(self) -> None:
        """Closes the channel; calls under way are cancelled."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _result(coroutine: Coroutine[Any, Any, Answer]) -> Answer:
    """Runs a coroutine that never suspends, as those of a blocking channel do not, to its end."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise RuntimeError("a blocking call was suspended")


def _retry_options(attempts: int) -> list[tuple[str, str | int]]:
    """Returns a channel's options for gRPC's own retries."""
    if not 1 <= attempts <= _MAX_ATTEMPTS:
        raise ValueError(f"`attempts` should be from 1 to {_MAX_ATTEMPTS}. Received: {attempts}")
    if attempts == 1:
        return [("grpc.enable_retries", 0)]
    policy = {
        "maxAttempts": attempts,
        "initialBackoff": "0.1s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": _RETRIED,
    }
    config = {"methodConfig": [{"name": [{}], "retryPolicy": policy}]}
    return [("grpc.enable_retries", 1), ("grpc.service_config", json.dumps(config))]


def predict_request(model_name: str, examples: Sequence[bytes], signature: str = "serving_default") -> Any:
    """Returns a PredictRequest for one batch of serialized tf.Examples."""
    message = wire.PredictRequest(model_spec={"name": model_name, "signature_name": signature})
    tensor = message.inputs["examples"]
    tensor.dtype = wire.DT_STRING
    tensor.tensor_shape.dim.add(size=len(examples))
    tensor.string_val.extend(examples)
    return message
