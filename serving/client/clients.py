"""The client for threads and the one for asyncio: the same calls, checks and errors; only the waiting differs."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from serving.client import calls
from serving.client.answers import AnswerError, Explanation, Metadata, Recommendation, VersionStatus
from serving.client.calls import ANSWERS, Call, RecommenderError
from serving.client.checks import RequestChecks
from serving.client.request import Request, encode_example

Pairs = Sequence[tuple[str, str]]
"""gRPC metadata: lower-case names and their values."""

Answer = TypeVar("Answer")


class _Client:
    """What both clients are: a channel to one model, the deadline and metadata of its calls, the checks of requests.

    Args:
      address: `host:port` of gRPC, or `unix:path`.
      model_name: The name that the server knows the model by.
      timeout: The deadline of a call in seconds, retries included.
      attempts: What a server that goes away answers (UNAVAILABLE, CANCELLED) is tried again, so many times in all.
      credentials: Make the channel secure.
      metadata: Goes with every call, such as a token.
      wait_for_ready: Whether a call waits, inside its deadline, for a server that is not there yet; a restart is then
        seen as one slow call.
    """

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
        self._channel = self._open(calls.channel_options(attempts), credentials)
        self._methods = {
            name: self._channel.unary_unary(
                name,
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=answer.FromString,
            )
            for name, answer in ANSWERS.items()
        }

    def _open(self, options: Sequence[calls.Option], credentials: grpc.ChannelCredentials | None) -> Any:
        raise NotImplementedError

    def _start(self, call: Call[Any], timeout: float | None, metadata: Pairs) -> Any:
        """gRPC's answer, or of asyncio what to await."""
        return self._methods[call.method](
            call.message,
            timeout=self._timeout if timeout is None else timeout,
            metadata=(*self._metadata, *metadata),
            wait_for_ready=self._wait_for_ready,
        )

    def _read(self, call: Call[Answer], response: Any) -> Answer:
        try:
            return call.read(response)
        except AnswerError as error:
            raise RecommenderError(self.address, self.model_name, "INTERNAL", str(error)) from error

    def _error(self, error: Any) -> RecommenderError:
        return RecommenderError(self.address, self.model_name, error.code().name, error.details())


class RecommenderClient(_Client):
    """A client for threads; share one among them. Close it, or use it in a `with`. For its arguments see `_Client`.

    Every method takes a `timeout` and further `metadata` (a trace id) of its own, and raises `RecommenderError`.
    """

    def recommend(
        self, request: Request, *, timeout: float | None = None, metadata: Pairs = ()
    ) -> list[Recommendation]:
        """Returns the best items for one request, best first.

        Gives a `RequestWarning` of times that are no moments of the history (a request years away from it, before it,
        or in the future) and of features that the model does not know: of each kind once.
        """
        return self.recommend_many([request], timeout=timeout, metadata=metadata)[0]

    def recommend_many(
        self, requests: Sequence[Request], *, timeout: float | None = None, metadata: Pairs = ()
    ) -> list[list[Recommendation]]:
        """Returns one list of items for each request, in one call."""
        self._checks.tell_times(requests)
        examples = [encode_example(request) for request in requests]
        found = self.recommend_examples(examples, timeout=timeout, metadata=metadata)
        self._tell_features(requests, timeout, metadata)
        return found

    def recommend_examples(
        self, examples: Sequence[bytes], *, timeout: float | None = None, metadata: Pairs = ()
    ) -> list[list[Recommendation]]:
        """Returns as `recommend_many`, from serialized tf.Examples laid out as in `docs/reference/data-layout.md`."""
        return self._send(calls.recommend(self.model_name, examples), timeout, metadata) if examples else []

    def explain(
        self, request: Request, items: Sequence[str], *, timeout: float | None = None, metadata: Pairs = ()
    ) -> list[Explanation]:
        """Returns why each of the items has its score for the request, in the order of `items`."""
        self._checks.tell_times([request])
        found = self._send(calls.explain(self.model_name, request, items), timeout, metadata)
        self._tell_features([request], timeout, metadata)
        return found

    def status(self, *, timeout: float | None = None, metadata: Pairs = ()) -> list[VersionStatus]:
        """Returns the model's versions, the newest first."""
        return self._send(calls.status(self.model_name), timeout, metadata)

    def metadata(self, *, timeout: float | None = None, metadata: Pairs = ()) -> Metadata:
        """Returns the version that answers, and its signatures."""
        return self._send(calls.metadata(self.model_name), timeout, metadata)

    def close(self) -> None:
        """Closes the channel; calls under way are cancelled."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, options: Sequence[calls.Option], credentials: grpc.ChannelCredentials | None) -> Any:
        if credentials is None:
            return grpc.insecure_channel(self.address, options)
        return grpc.secure_channel(self.address, credentials, options)

    def _send(self, call: Call[Answer], timeout: float | None, metadata: Pairs) -> Answer:
        try:
            response = self._start(call, timeout, metadata)
        except grpc.RpcError as error:
            raise self._error(error) from error
        return self._read(call, response)

    def _tell_features(self, requests: Sequence[Request], timeout: float | None, metadata: Pairs) -> None:
        if self._checks.has_unknown(requests):
            try:
                known = self.metadata(timeout=timeout, metadata=metadata)
            except RecommenderError:
                known = None
            self._checks.tell_features(requests, known)


class AsyncRecommenderClient(_Client):
    """`RecommenderClient` for asyncio and one event loop. Close it, or use it in an `async with`."""

    async def recommend(
        self, request: Request, *, timeout: float | None = None, metadata: Pairs = ()
    ) -> list[Recommendation]:
        """As `RecommenderClient.recommend`."""
        return (await self.recommend_many([request], timeout=timeout, metadata=metadata))[0]

    async def recommend_many(
        self, requests: Sequence[Request], *, timeout: float | None = None, metadata: Pairs = ()
    ) -> list[list[Recommendation]]:
        """As `RecommenderClient.recommend_many`."""
        self._checks.tell_times(requests)
        examples = [encode_example(request) for request in requests]
        found = await self.recommend_examples(examples, timeout=timeout, metadata=metadata)
        await self._tell_features(requests, timeout, metadata)
        return found

    async def recommend_examples(
        self, examples: Sequence[bytes], *, timeout: float | None = None, metadata: Pairs = ()
    ) -> list[list[Recommendation]]:
        """As `RecommenderClient.recommend_examples`."""
        return await self._send(calls.recommend(self.model_name, examples), timeout, metadata) if examples else []

    async def explain(
        self, request: Request, items: Sequence[str], *, timeout: float | None = None, metadata: Pairs = ()
    ) -> list[Explanation]:
        """As `RecommenderClient.explain`."""
        self._checks.tell_times([request])
        found = await self._send(calls.explain(self.model_name, request, items), timeout, metadata)
        await self._tell_features([request], timeout, metadata)
        return found

    async def status(self, *, timeout: float | None = None, metadata: Pairs = ()) -> list[VersionStatus]:
        """As `RecommenderClient.status`."""
        return await self._send(calls.status(self.model_name), timeout, metadata)

    async def metadata(self, *, timeout: float | None = None, metadata: Pairs = ()) -> Metadata:
        """As `RecommenderClient.metadata`."""
        return await self._send(calls.metadata(self.model_name), timeout, metadata)

    async def close(self) -> None:
        """Closes the channel; calls under way are cancelled."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _open(self, options: Sequence[calls.Option], credentials: grpc.ChannelCredentials | None) -> Any:
        if credentials is None:
            return grpc.aio.insecure_channel(self.address, options)
        return grpc.aio.secure_channel(self.address, credentials, options)

    async def _send(self, call: Call[Answer], timeout: float | None, metadata: Pairs) -> Answer:
        try:
            response = await self._start(call, timeout, metadata)
        except grpc.RpcError as error:
            raise self._error(error) from error
        return self._read(call, response)

    async def _tell_features(self, requests: Sequence[Request], timeout: float | None, metadata: Pairs) -> None:
        if self._checks.has_unknown(requests):
            try:
                known = await self.metadata(timeout=timeout, metadata=metadata)
            except RecommenderError:
                known = None
            self._checks.tell_features(requests, known)
